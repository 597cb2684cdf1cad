import { expect, test } from 'bun:test'
import type { EventRow, Notifications } from '../registry/notifications.ts'
import { openShell } from './admin.fixture.ts'
import { notifyCommand } from './notify.ts'

const START = Date.parse('2026-01-02T03:04:05.678Z')

const row = (id: number, more: Partial<EventRow> = {}): EventRow => ({
  ...{ id, event: `uuid-${id}`, endpoint: 'hook', at: START, action: 'push', repository: 'team/app' },
  ...{ tag: 'v1', digest: undefined, mediaType: 'a/b', state: 'delivered', attempts: 1, queuedAt: START },
  ...{ triedAt: START, retryAt: undefined, result: '200 OK' },
  ...more,
})

/** Three events for one endpoint, the second of which was given up. */
function fake() {
  const rows = [
    row(3, { state: 'waiting', attempts: 2, retryAt: START + 5000, result: 'connection refused' }),
    row(2, { state: 'dead', tag: undefined, digest: 'sha256:abc' as never, attempts: 9, result: '500 \u001b[31m' }),
    row(1, { action: 'delete', tag: undefined }),
  ]
  const requeued: (number | string)[] = []
  let isAccepting = true
  const notifications: Notifications = {
    endpoints: async () => [
      {
        ...{ name: 'hook', origin: 'https://hooks.example', disabled: false },
        ...{ waiting: 1, delivered: 1, dead: 1, failures: 2, retryAt: START },
      },
      {
        ...{ name: 'off', origin: '', disabled: true },
        ...{ waiting: 0, delivered: 0, dead: 0, failures: undefined, retryAt: undefined },
      },
    ],
    list: async ({ endpoint, state }, { before, limit }) =>
      rows
        .filter((one) => endpoint === undefined || one.endpoint === endpoint)
        .filter((one) => state === undefined || one.state === state)
        .filter((one) => before === undefined || one.id < before)
        .slice(0, limit),
    find: async (id) => {
      const found = rows.find((one) => one.id === id)
      return found && { row: found, notification: { id: found.event, action: found.action } }
    },
    async redeliver(id) {
      const found = rows.find((one) => one.id === id)
      if (found === undefined) return 'unknown'
      if (found.state === 'waiting') return 'waiting'
      requeued.push(id)
      return { ...found, state: 'waiting' }
    },
    async redeliverDead(endpoint) {
      if (endpoint !== 'hook') return undefined
      requeued.push(endpoint)
      return 1
    },
    test: async (endpoint) =>
      endpoint === 'hook'
        ? {
            accepted: isAccepting,
            status: isAccepting ? 200 : undefined,
            text: isAccepting ? '200 OK' : 'no answer',
            tookMs: 12,
          }
        : undefined,
  }
  return { notifications, requeued, refuse: () => (isAccepting = false) }
}

async function open() {
  const faked = fake()
  const { run, recorded } = await openShell({ api: { notifications: faked.notifications } })
  return { ...faked, recorded, run: (...args: string[]) => run(notifyCommand, ...args) }
}

test('berth notify endpoints', async () => {
  const { run } = await open()
  expect((await run('endpoints')).out).toBe(`NAME  WHERE                  STATE       WAITING  DELIVERED  DEAD  NEXT TRY
hook  https://hooks.example  2 failures  1        1          1     2026-01-02T03:04:05Z
off   -                      disabled    0        0          0     -
`)
})

test('berth notify list', async () => {
  const { run } = await open()
  expect(
    (await run('list')).out,
  ).toBe(`ID  TIME                  ENDPOINT  ACTION  TARGET               STATE      ATTEMPTS  RESULT
3   2026-01-02T03:04:05Z  hook      push    team/app:v1          waiting    2         connection refused
2   2026-01-02T03:04:05Z  hook      push    team/app@sha256:abc  dead       9         500 \\u{1b}[31m
1   2026-01-02T03:04:05Z  hook      delete  team/app             delivered  1         200 OK
`)
  const dead = await run('list', '--state', 'dead', '--endpoint', 'hook', '--format', 'json')
  expect(JSON.parse(dead.out)).toMatchObject({ events: [{ id: 2, digest: 'sha256:abc', tag: null, retryAt: null }] })
  expect(await run('list', '--limit', '1')).toMatchObject({ error: 'There is more: add --before 3\n', code: 0 })
  expect(await run('list', '--state', 'lost')).toMatchObject({ code: 2 })
})

test('berth notify show', async () => {
  const { run } = await open()
  expect((await run('show', '3')).out).toBe(`Id        3
Endpoint  hook
State     waiting
Happened  2026-01-02T03:04:05Z
Queued    2026-01-02T03:04:05Z
Attempts  2
Last try  2026-01-02T03:04:05Z
Next try  2026-01-02T03:04:10Z
Result    connection refused

{
   "events": [
      {
         "id": "uuid-3",
         "action": "push"
      }
   ]
}
`)
  expect(await run('show', '9')).toEqual({ out: '', error: 'berth: there is no event 9\n', code: 1 })
})

test('berth notify redeliver', async () => {
  const { run, requeued, recorded } = await open()
  expect(await run('redeliver', '1', '2')).toEqual({
    out: '',
    error: 'The event 1 is queued for hook again.\nThe event 2 is queued for hook again.\n',
    code: 0,
  })
  expect((await run('redeliver', '--dead', 'hook')).error).toBe('1 event is queued for hook again.\n')
  expect(requeued).toEqual([1, 2, 'hook'])
  expect(recorded).toEqual([
    '@operator notification 1: done: redelivered',
    '@operator notification 2: done: redelivered',
    '@operator notifications of hook: done: those that were given up are redelivered',
  ])
  const refusals: [string[], string, number][] = [
    [['3'], 'the event 3 waits for its delivery already', 1],
    [['9'], 'there is no event 9', 1],
    [['--dead', 'other'], 'there is no endpoint other in the configuration', 1],
    [[], 'name events (berth notify list shows them), or --dead ENDPOINT', 2],
    [['1', '--dead', 'hook'], 'name events (berth notify list shows them), or --dead ENDPOINT', 2],
  ]
  for (const [args, message, code] of refusals) {
    expect(await run('redeliver', ...args)).toEqual({ out: '', error: `berth: ${message}\n`, code })
  }
})

test('berth notify test', async () => {
  const { run, refuse } = await open()
  expect(await run('test', 'hook')).toEqual({ out: '', error: 'hook accepted the test: 200 OK (12 ms)\n', code: 0 })
  refuse()
  expect(await run('test', 'hook')).toEqual({
    ...{ out: '', code: 1 },
    error: 'hook did not accept the test: no answer (12 ms)\n',
  })
  expect((await run('test', 'other')).error).toBe('berth: there is no endpoint other in the configuration\n')
})

test('where no registry runs, nobody is notified, and it is said', async () => {
  const { run } = await openShell()
  const error = 'berth: no registry runs here, and so nobody is notified\n'
  for (const args of [['list'], ['endpoints'], ['test', 'hook'], ['redeliver', '1']]) {
    expect(await run(notifyCommand, ...args)).toEqual({ out: '', error, code: 1 })
  }
})
