import { expect, test } from 'bun:test'
import type { QuotaBook, QuotaRow } from '../registry/quotas.ts'
import { openShell } from './admin.fixture.ts'
import { quotaCommand } from './quota.ts'

const GIB = 1024 ** 3
const row = (more: Partial<QuotaRow>): QuotaRow => ({
  ...{ id: 1, prefix: 'team', source: 'api', state: 'exact', waiting: 0, createdAt: 0, updatedAt: 0 },
  limits: { bytes: 10 * GIB, tags: undefined, repositories: 4 },
  used: { bytes: 9.5 * GIB, tags: 12, repositories: 4 },
  ...more,
})

async function open(set: (prefix: string) => QuotaRow | 'configured' = () => row({})) {
  const rows = [
    row({
      prefix: '',
      source: 'config',
      limits: { bytes: undefined, tags: 5, repositories: undefined },
      waiting: 2048,
    }),
    row({}),
  ]
  const quotas: QuotaBook = {
    admit: () => undefined,
    uploaded() {},
    idle: () => [],
    list: async () => rows,
    show: async (prefix) => {
      if (prefix !== 'team') return undefined
      return { quotas: [row({})], largest: [{ name: 'team/app', manifests: 3, tags: 12, blobs: 9, bytes: GIB }] }
    },
    set: async (prefix) => set(prefix),
    remove: async (prefix) => (prefix === 'team' ? 'removed' : prefix === '' ? 'configured' : 'unknown'),
    check: async () => [{ quota: row({}), counted: { bytes: 1, tags: 2, repositories: 3 }, isRight: false }],
    configure: async () => {},
    tend: async () => {},
    stop: async () => {},
  }
  const { run, recorded } = await openShell({ api: { quotas } })
  return { run: (...args: string[]) => run(quotaCommand, ...args), recorded }
}

test('quotas are listed with what is used of them', async () => {
  const { run } = await open()
  expect((await run('ls')).out).toMatchInlineSnapshot(`
    "PREFIX  BYTES                      TAGS            REPOSITORIES   WAITING  STATE  FROM           UPDATED
    *       9.5 GiB                    12 of 5 (240%)  4              2.0 KiB  exact  configuration  1970-01-01T00:00:00Z
    team    9.5 GiB of 10.0 GiB (95%)  12              4 of 4 (100%)  0 B      exact  berth quota    1970-01-01T00:00:00Z
    "
  `)
})

test('one is shown with the repositories that hold most', async () => {
  const { run } = await open()
  expect((await run('show', 'team/')).out).toMatchInlineSnapshot(`
    "PREFIX  BYTES                      TAGS  REPOSITORIES   WAITING  STATE  FROM         UPDATED
    team    9.5 GiB of 10.0 GiB (95%)  12    4 of 4 (100%)  0 B      exact  berth quota  1970-01-01T00:00:00Z

    REPOSITORY  HOLDS    TAGS
    team/app    1.0 GiB  12
    "
  `)
})

test('they are set and removed, each change on record', async () => {
  const { run, recorded } = await open()
  expect(await run('set', 'team/', '--bytes', '10GiB', '--repositories', '4')).toEqual({
    ...{ code: 0, out: '', error: 'The quota of team is set.\n' },
  })
  expect((await run('rm', 'team')).error).toBe('The quota of team is removed.\n')
  expect(recorded).toEqual([
    '@operator quota team: done: set: {"bytes":10737418240,"repositories":4}',
    '@operator quota team: done: removed',
  ])
})

test.each<[string, Partial<QuotaRow>, string]>([
  ['counts', { state: 'counting' }, 'It counts what is there, and refuses nothing until berth quota ls says exact.'],
  [
    'is passed already',
    { used: { bytes: 11 * GIB, tags: 0, repositories: 5 } },
    'More is there already (bytes, repositories): pushes that add to it are refused.',
  ],
])('whoever sets one that %s is told so', async (_, more, words) => {
  const { run } = await open(() => row(more))
  expect((await run('set', 'team', '--tags', '5')).error).toBe(`The quota of team is set. ${words}\n`)
})

test('a check says what is wrong, and fails', async () => {
  const { run } = await open()
  const ran = await run('check')
  expect(ran.code).toBe(1)
  expect(ran.out).toMatchInlineSnapshot(`
    "PREFIX  BYTES    TAGS  REPOSITORIES  CHECK
    team    9.5 GiB  12    4             wrong: 9.5 GiB too many, 10 tags too many, 1 repository too many
    "
  `)
  const repaired = await run('check', '--repair')
  expect([repaired.code, repaired.out]).toEqual([1, expect.stringContaining('was wrong, counted anew: ')])
})

test.each<[string, string[], number, string]>([
  ['without a limit', ['set', 'team'], 2, 'name a limit: --bytes, --tags or --repositories'],
  ['of no size', ['set', 'team', '--bytes', 'much'], 2, '"much" is no number of bytes'],
  ['of no number', ['set', 'team', '--tags', '-1'], 2, '--tags: "-1" is no number'],
  ['of what is no prefix', ['set', 'A B', '--tags', '1'], 1, 'is no prefix of repositories'],
  ['of the configuration', ['rm', '*'], 1, "is in the server's configuration"],
  ['that is not there', ['show', 'none'], 1, 'there is no quota of none'],
])('a quota %s is refused', async (_, args, code, error) => {
  const { run } = await open()
  const ran = await run(...args)
  expect([ran.code, ran.error]).toEqual([code, expect.stringContaining(error)])
})
