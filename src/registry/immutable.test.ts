import { expect, test } from 'bun:test'
import type { ImmutableRuleRow, ImmutableRules } from '../metadata/metadata.ts'
import { type ConfiguredRule, createImmutableTags } from './immutable.ts'

function open(configured: readonly ConfiguredRule[], rows: ImmutableRuleRow[] = []) {
  const state = { configured, reads: 0 }
  const rules: ImmutableRules = {
    async list() {
      state.reads++
      return [...rows]
    },
    async add(row) {
      rows.push(row)
      return true
    },
    async remove(name) {
      const index = rows.findIndex((row) => row.name === name)
      if (index !== -1) rows.splice(index, 1)
      return index !== -1
    },
  }
  return { state, tags: createImmutableTags({ rules, configured: () => state.configured, now: () => 7 }) }
}

const RELEASES = { name: 'releases', repositories: ['team/**', '!team/scratch'], tags: ['v*'] }
const NIGHTLY = { name: 'nightly', repositories: [], tags: ['/^\\d{8}$/'], comment: 'c' }

test('rules of the configuration come first, and those of an administrator after them', async () => {
  const { tags } = open([RELEASES])
  expect(await tags.add(NIGHTLY)).toEqual({ ...NIGHTLY, source: 'api', createdAt: 7 })
  expect(await tags.list()).toEqual([
    { ...RELEASES, comment: '', source: 'config', createdAt: undefined },
    { ...NIGHTLY, source: 'api', createdAt: 7 },
  ])
  expect(await tags.of('team/app')).toEqual([
    { rule: 'releases', tags: ['v*'] },
    { rule: 'nightly', tags: ['/^\\d{8}$/'] },
  ])
  expect(await tags.of('team/scratch')).toEqual([{ rule: 'nightly', tags: ['/^\\d{8}$/'] }])
})

test.each([
  ['team/app', 'v1', 'releases'],
  ['team/a/b', 'v1', 'releases'],
  ['team/scratch', 'v1', undefined],
  ['team', 'v1', undefined],
  ['team/app', 'latest', undefined],
  ['any', '20260101', 'nightly'],
])('%s:%s is protected by %p', async (repository, tag, rule) => {
  const { tags } = open([RELEASES])
  await tags.add(NIGHTLY)
  expect((await tags.test(repository, tag))?.name).toBe(rule)
})

test('no name stands for two rules, and one of the configuration is not removed here', async () => {
  const { tags } = open([RELEASES])
  expect(await tags.add({ ...NIGHTLY, name: 'releases' })).toBe('taken')
  await tags.add(NIGHTLY)
  expect(await tags.add(NIGHTLY)).toBe('taken')
  expect(await tags.remove('releases')).toBe('configured')
  expect([await tags.remove('nightly'), await tags.remove('nightly')]).toEqual(['removed', 'unknown'])
  expect((await tags.list()).map(({ name }) => name)).toEqual(['releases'])
})

test('one of the same name that was there before the configuration had it can be removed', async () => {
  const { tags } = open([RELEASES], [{ ...RELEASES, tags: ['x'], comment: '', createdAt: 1 }])
  expect(await tags.remove('releases')).toBe('removed')
  expect((await tags.list()).map(({ source }) => source)).toEqual(['config'])
})

test('the database is read once, and another configuration counts at once', async () => {
  const { state, tags } = open([])
  for (let turn = 0; turn < 3; turn++) expect(await tags.of('team/app')).toEqual([])
  expect(tags.of('team/app')).not.toBeInstanceOf(Promise)
  state.configured = [RELEASES]
  expect(tags.of('team/app')).toEqual([{ rule: 'releases', tags: ['v*'] }])
  expect(state.reads).toBe(1)
})
