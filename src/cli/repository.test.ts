import { expect, test } from 'bun:test'
import type { Denial } from '../metadata/metadata.ts'
import { denied } from '../registry/denial.ts'
import type { Renamed, Repositories } from '../registry/repositories.ts'
import { openShell } from './admin.fixture.ts'
import { repositoryCommand } from './repository.ts'

/** Of a rule of immutable tags. */
const FIXED: Denial = {
  ...{ kind: 'immutable', rule: 'releases', repository: 'fixed', tag: 'v1', asked: undefined },
  digest: `sha256:${'a'.repeat(64)}`,
}

async function open(answer?: string, outcome: Renamed = 'renamed') {
  const asked: unknown[] = []
  const repositories: Pick<Repositories, 'delete' | 'rename'> = {
    async delete(name, { actor, force }) {
      asked.push(['delete', name, actor, force])
      if (name === 'fixed' && !force) throw denied(FIXED)
      return name === 'none' ? undefined : { batch: 'B', manifests: 3, tags: 2, uploads: 1 }
    },
    async rename(from, to, { actor, force }) {
      asked.push(['rename', from, to, actor, force])
      if (from === 'fixed' && !force) throw denied(FIXED)
      return outcome
    },
  }
  const api = { repositories: repositories as Repositories }
  const { run, recorded } = await openShell({ api, ...(answer === undefined ? {} : { answer }) })
  return { run: (...args: string[]) => run(repositoryCommand, ...args), asked, recorded }
}

test('a deletion says what went, and how to have it back', async () => {
  const { run, asked, recorded } = await open()
  expect(await run('delete', 'team/app', '--yes')).toEqual({
    ...{ code: 0, out: '' },
    error:
      'team/app is deleted: 3 manifests with 2 tags, and 1 upload under way was ended. ' +
      'To have it back: berth trash restore team/app --batch B\n',
  })
  expect((await run('delete', 'team/app', '--yes', '--data', 'data')).error).toEndWith(
    'berth trash restore team/app --batch B --data data\n',
  )
  expect(await run('rm', 'none', '-y', '--force')).toMatchObject({
    code: 1,
    error: 'berth: there is no repository none\n',
  })
  expect(asked).toEqual([
    ['delete', 'team/app', '@operator', false],
    ['delete', 'team/app', '@operator', false],
    ['delete', 'none', '@operator', true],
  ])
  expect(recorded).toEqual([
    '@operator repository team/app: done: deleted',
    '@operator repository team/app: done: deleted',
    '@operator repository none: failed: deleted, by force: there is no repository none',
  ])
})

test.each<[string, string[]]>([
  ['deleted', ['delete', 'fixed', '--yes']],
  ['renamed', ['rename', 'fixed', 'other']],
])('a repository with immutable tags is not %s without force, and the way is told', async (_, args) => {
  const { run } = await open()
  expect(await run(...args)).toEqual({
    ...{ code: 1, out: '' },
    error:
      'berth: fixed:v1 is immutable by the rule releases: it cannot be deleted, nor its repository renamed\n' +
      'Hint: --force does it all the same; berth immutable rm releases takes the rule away (one of the configuration is taken away there)\n',
  })
  expect((await run(...args, '--data', 'data')).error).toContain('; berth immutable rm releases --data data takes the')
  expect(await run(...args, '--force')).toMatchObject({ code: 0 })
})

test('a deletion is asked for by name', async () => {
  const question =
    'This deletes all of app, which the trash can bring back until its window ends. Type its name to go on: \n'
  const nobody = await open()
  expect(await nobody.run('delete', 'app')).toMatchObject({
    code: 2,
    error: `${question}berth: there is no terminal to ask on: add --yes to delete it without a question\n`,
  })
  const wrong = await open('yes')
  expect(await wrong.run('delete', 'app')).toMatchObject({ code: 1, error: `${question}berth: nothing was deleted\n` })
  expect([nobody.asked, wrong.asked]).toEqual([[], []])
  const right = await open('app')
  expect((await right.run('delete', 'app')).code).toBe(0)
  expect(right.asked).toHaveLength(1)
})

test('a new name is given, or refused with what is in the way', async () => {
  const { run, asked } = await open()
  expect(await run('rename', 'a', 'b/c')).toEqual({
    ...{ code: 0, out: '', error: 'a is b/c now; pulls and pushes by the old name do not find it.\n' },
  })
  expect(asked).toEqual([['rename', 'a', 'b/c', '@operator', false]])
  const taken = await open(undefined, 'exists')
  expect(await taken.run('mv', 'a', 'b')).toMatchObject({
    code: 1,
    error: expect.stringContaining('there is a repository b already; repositories are not merged'),
  })
  expect(await run('rename', 'a', 'B')).toMatchObject({
    code: 1,
    error: expect.stringContaining('is no repository name'),
  })
})
