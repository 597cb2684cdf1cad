import { expect, test } from 'bun:test'
import type { ImmutableRuleRow } from '../metadata/metadata.ts'
import { createImmutableTags } from '../registry/immutable.ts'
import { openShell } from './admin.fixture.ts'
import { immutableCommand } from './immutable.ts'

async function open() {
  const rows: ImmutableRuleRow[] = []
  const immutable = createImmutableTags({
    rules: {
      list: async () => [...rows],
      add: async (row) => rows.push(row) > 0,
      remove: async (name) =>
        rows.splice(
          rows.findIndex((row) => row.name === name),
          1,
        ).length > 0,
    },
    configured: () => [{ name: 'releases', repositories: ['team/**', '!team/x'], tags: ['v*'] }],
    now: () => 0,
  })
  const { run, recorded } = await openShell({ api: { immutable } })
  return { run: (...args: string[]) => run(immutableCommand, ...args), recorded }
}

test('rules are added, listed, tested and removed, each change on record', async () => {
  const { run, recorded } = await open()
  expect(await run('add', 'nightly', '--tag', '/^\\d+$/', '--comment', 'kept by law')).toEqual({
    ...{ code: 0, out: '', error: 'The rule nightly is added.\n' },
  })
  expect((await run('ls')).out).toMatchInlineSnapshot(`
    "NAME      REPOSITORIES     TAGS     FROM             CREATED               COMMENT
    releases  team/** !team/x  v*       configuration    -
    nightly   all              /^\\d+$/  berth immutable  1970-01-01T00:00:00Z  kept by law
    "
  `)
  expect(await run('test', 'team/app:v1')).toEqual({
    ...{ code: 0, error: '', out: 'team/app:v1 is immutable by the rule releases (configuration)\n' },
  })
  expect(await run('test', 'team/x:v1')).toEqual({
    ...{ code: 1, error: '', out: 'team/x:v1 is not immutable: no rule speaks of it\n' },
  })
  expect((await run('rm', 'nightly')).error).toBe('The rule nightly is removed.\n')
  expect(recorded).toEqual([
    '@operator immutable tags nightly: done: made: {"repositories":[],"tags":["/^\\\\d+$/"]}',
    '@operator immutable tags nightly: done: removed',
  ])
})

test('a rule whose patterns can match nothing is made, and does not say so in silence', async () => {
  const { run } = await open()
  const args = ['add', 'x', '--repository', 'Team/*', '--repository', 'team/*', '--tag', 'app:v*', '--tag', '!v1']
  expect(await run(...args)).toEqual({
    ...{ code: 0, out: '' },
    error:
      'warning: "Team/*" can match nothing: the name of a repository has no capitals\n' +
      'warning: "app:v*" can match nothing: the name of a tag has no ":"\n' +
      'The rule x is added.\n',
  })
})

test.each<[string, string[], number, string]>([
  ['without a pattern', ['add', 'x'], 2, 'name tags with --tag, or repositories with --repository'],
  ['with a pattern that matches nothing', ['add', 'x', '--tag', '[a'], 1, 'is no glob'],
  ['of the configuration', ['rm', 'releases'], 1, "is in the server's configuration"],
  ['of no tag', ['test', 'team/app'], 2, 'names no tag: write REPOSITORY:TAG'],
])('a rule %s is refused', async (_, args, code, error) => {
  const { run } = await open()
  const ran = await run(...args)
  expect([ran.code, ran.error]).toEqual([code, expect.stringContaining(error)])
})
