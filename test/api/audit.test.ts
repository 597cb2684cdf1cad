import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { SERVICE, startDefended } from './defended-registry.ts'
import { basic, hashOf, within } from './live-server.ts'

interface Entry {
  kind: string
  account: string
  source: string
  address: string
  service: string
  asked: string
  granted: string
  rules: string
  outcome: string
  detail: string
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
/** Milliseconds within which what was decided is written, on a machine that has other things to do as well. */
const WRITTEN = 2000
/** Milliseconds that a request counts for at the most. */
const LONGEST_STEP = 100

let folder: string
let authConfig: string
let data: string
let berth: Berth
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-audit-'))
  data = join(folder, 'data')
  authConfig = join(folder, 'auth_config.yml')
  const hash = await hashOf('ann secret')
  writeFileSync(
    authConfig,
    [
      'server: {addr: "127.0.0.1:0", trustedproxies: [127.0.0.1]}',
      'token: {issuer: Berth, expiration: 900}',
      'accounts: true',
      'throttle: {peraccount: 2}',
      `users: {ann: {password: "${hash}"}}`,
      'acl:',
      '  - match: {account: ann, name: "ann/*"}',
      '    actions: ["*"]',
      '  - match: {account: "/.+/"}',
      '    actions: [pull]',
      '    comment: everybody',
    ].join('\n'),
  )
  berth = await start()
})
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const start = () =>
  startBerth({
    args: ['--auth-config', authConfig],
    env: {
      BERTH_ADMIN_PASSWORD: 'admin secret',
      REGISTRY_HTTP_TRUSTEDPROXIES: '[127.0.0.1]',
      REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
    },
    dataDirectory: data,
    listeners: 2,
  })

const file = () => join(data, 'audit.log')
const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Entry & { time: string })
const askToken = (user: string, password: string, scopes: readonly string[], address: string) => {
  const query = new URLSearchParams([
    ['service', SERVICE],
    ...scopes.map((scope): [string, string] => ['scope', scope]),
  ])
  return fetch(`${berth.url}/auth?${query}`, { headers: { ...basic(user, password), 'X-Forwarded-For': address } })
}
const withoutTime = <T extends object>(entry: T) => {
  const { time: _, at: __, id: ___, ...rest } = { time: '', at: '', id: 0, ...entry }
  return rest
}
const overHttp = async (): Promise<(Entry & { at: string })[]> => {
  const response = await fetch(`${berth.url}/api/v1/audit?limit=1000`, { headers: basic('admin', 'admin secret') })
  return ((await response.json()) as { entries: (Entry & { at: string })[] }).entries.reverse()
}

describe('every decision', () => {
  const NOTHING = { source: '', service: '', asked: '', granted: '', rules: '', detail: '' }
  const TOKEN = { ...NOTHING, kind: 'token', account: 'ann', source: 'static', service: SERVICE }
  type Row = [title: string, status: number, work: () => Promise<Response>, entry: Entry]
  /** On a machine that stands still the wait of a second is over before: each further failure doubles it. */
  let late = 0
  const waiting = async () => {
    for (; ; late++) {
      const answer = await askToken('ann', 'wrong again', [], '203.0.113.9')
      if (answer.status !== 401) return answer
    }
  }
  const WRONG = { ...TOKEN, source: '', address: '203.0.113.9', outcome: 'refused', detail: 'Auth failed.' }
  const rowsOf = (first: string, second: string): Row[] => [
    [
      'a whole grant',
      200,
      () => askToken('ann', 'ann secret', ['repository:ann/app:pull,push'], '203.0.113.1'),
      {
        ...TOKEN,
        address: '203.0.113.1',
        asked: 'repository:ann/app:pull,push',
        granted: 'repository:ann/app:pull,push',
        rules: first,
        outcome: 'granted',
      },
    ],
    [
      'a part of what was asked, of several scopes',
      200,
      () => askToken('ann', 'ann secret', ['repository:x:pull,push', 'repository:ann/b:delete'], '203.0.113.2'),
      {
        ...TOKEN,
        address: '203.0.113.2',
        asked: 'repository:x:pull,push repository:ann/b:delete',
        granted: 'repository:x:pull repository:ann/b:delete',
        rules: `${second}, ${first}`,
        outcome: 'partial',
      },
    ],
    [
      'nothing of what was asked',
      200,
      () => askToken('ann', 'ann secret', ['registry:catalog:*'], '203.0.113.2'),
      {
        ...TOKEN,
        address: '203.0.113.2',
        asked: 'registry:catalog:*',
        granted: 'registry:catalog:',
        rules: second,
        outcome: 'denied',
      },
    ],
    [
      'a login without a scope, of a user of the database',
      200,
      () => askToken('admin', 'admin secret', [], '2001:db8::1'),
      { ...TOKEN, account: 'admin', source: 'berth', address: '2001:db8::1', outcome: 'granted' },
    ],
    [
      'a wrong password',
      401,
      () => askToken('ann', 'wrong', ['repository:x:pull'], '203.0.113.9'),
      {
        ...TOKEN,
        source: '',
        address: '203.0.113.9',
        asked: 'repository:x:pull',
        outcome: 'refused',
        detail: 'Auth failed.',
      },
    ],
    [
      'an account that nobody has',
      401,
      () => askToken('nobody', 'wrong', [], '203.0.113.9'),
      { ...TOKEN, account: 'nobody', source: '', address: '203.0.113.9', outcome: 'refused', detail: 'Auth failed.' },
    ],
    ['a second wrong password', 401, () => askToken('ann', 'wrong too', [], '203.0.113.9'), WRONG],
    ['a third, which has to wait', 429, waiting, { ...WRONG, detail: 'too many failed logins; try again later' }],
    [
      'a refresh token that is none',
      401,
      () => {
        const body = String(
          new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'berth_rt_none', service: SERVICE }),
        )
        const headers = { ...FORM, 'X-Forwarded-For': '203.0.113.3' }
        return fetch(`${berth.url}/auth`, { method: 'POST', headers, body })
      },
      {
        ...TOKEN,
        account: '',
        source: '',
        address: '203.0.113.3',
        outcome: 'refused',
        detail: 'the identity token is not valid any more; log in again',
      },
    ],
    [
      'a change by an administrator',
      201,
      () =>
        fetch(`${berth.url}/api/v1/groups`, {
          method: 'POST',
          headers: {
            ...basic('admin', 'admin secret'),
            'Content-Type': 'application/json',
            'X-Forwarded-For': '203.0.113.4',
          },
          body: '{"name":"dev"}',
        }),
      {
        ...NOTHING,
        kind: 'change',
        account: 'admin',
        source: 'berth',
        address: '203.0.113.4',
        asked: 'group dev',
        outcome: 'done',
        detail: 'made',
      },
    ],
  ]

  test('is a line of the file, a row that the API shows, and one that the command shows', async () => {
    const rows = rowsOf(`${authConfig}:7`, `${authConfig}:9`)
    // That the first administrator was made is written there already.
    const made = await within(
      'the first line',
      () => (existsSync(file()) ? linesOf(file()) : []),
      ({ length }) => length > 0,
    )
    const before = made.length
    const started = Date.now()
    for (const [title, status, work] of rows)
      expect({ title, status: (await work()).status }).toEqual({ title, status })
    const expected = rows.flatMap(([, , work, entry]) => [
      ...(work === waiting ? Array.from({ length: late }, () => WRONG) : []),
      entry,
    ])
    const isComplete = (lines: readonly unknown[]) => lines.length >= before + expected.length
    const lines = await within('the lines', () => linesOf(file()), isComplete)
    const fresh = lines.slice(before)
    expect(fresh.map(withoutTime)).toEqual(expected)
    for (const { time } of fresh) {
      expect(Date.parse(time)).toBeGreaterThanOrEqual(started)
      expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
    }
    expect(statSync(file()).mode & 0o777).toBe(0o600)

    const entries = await within('the rows', overHttp, isComplete)
    expect(entries.slice(-fresh.length).map(withoutTime)).toEqual(fresh.map(withoutTime))
    expect(entries.slice(-fresh.length).map(({ at }) => Date.parse(at))).toEqual(
      fresh.map(({ time }) => Date.parse(time)),
    )

    const shown = await must([BERTH, 'audit', '--format', 'json', '--limit', '1000', '--data', data], { cwd: folder })
    expect((JSON.parse(shown) as { entries: unknown[] }).entries.reverse()).toEqual(entries)
  }, 180_000)

  test('can be asked for by account, kind and outcome', async () => {
    const args = ['audit', '--format', 'json', '--account', 'ann', '--kind', 'token', '--outcome', 'refused']
    const shown = await must([BERTH, ...args, '--data', data], { cwd: folder })
    const { entries } = JSON.parse(shown) as { entries: Entry[] }
    expect(entries.map(({ detail }) => detail)).toEqual([
      'too many failed logins; try again later',
      ...Array.from({ length: late + 2 }, () => 'Auth failed.'),
    ])
  })

  test('is shown to administrators alone', async () => {
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${berth.url}/api/v1/audit`, { headers })).status
    const unknown = { 'X-Forwarded-For': '203.0.113.20' }
    expect([await status(unknown), await status({ ...unknown, ...basic('ann', 'ann secret') })]).toEqual([401, 403])
  })
})

test('after the file was moved away, SIGHUP brings a new one, and no line is lost', async () => {
  const all = linesOf(file()).length
  const asked: string[] = []
  const decide = async (name: string) => {
    asked.push(`repository:rotated/${name}:pull`)
    await askToken('ann', 'ann secret', asked.slice(-1), '203.0.113.5')
  }
  const moved = `${file()}.moved`
  await decide('before')
  await within(
    'its line before',
    () => linesOf(file()).map((line) => line.asked),
    (lines) => lines.includes(asked[0] ?? ''),
  )
  renameSync(file(), moved)
  await decide('between')
  process.kill(berth.pid, 'SIGHUP')
  await within(
    'a new file',
    () => existsSync(file()),
    (there) => there,
  )
  await decide('after')
  await within(
    'its line',
    () => linesOf(file()).map((line) => line.asked),
    (lines) => lines.includes(asked[2] ?? ''),
  )
  const lines = [...linesOf(moved), ...linesOf(file())]
  expect(lines.slice(all).map((line) => line.asked)).toEqual(asked)
  expect(linesOf(file()).map((line) => line.asked)).not.toContain(asked[0])
  expect(statSync(file()).mode & 0o777).toBe(0o600)
}, 180_000)

test('kill -9 costs what was decided a moment before at most, and the next start goes on on a line of its own', async () => {
  const answered: { asked: string; at: number }[] = []
  // A clock that goes on only so far at each request: what is late is late with a machine that stood still meanwhile.
  let clock = 0
  const end = Date.now() + 2500
  // A machine that is busy takes longer for as many.
  for (let n = 0; Date.now() < end || n <= 100; n++) {
    const asked = `repository:killed/${n}:pull`
    const begun = performance.now()
    await askToken('ann', 'ann secret', [asked], '203.0.113.6')
    answered.push({ asked, at: clock })
    await Bun.sleep(8)
    clock += Math.min(performance.now() - begun, LONGEST_STEP)
  }
  process.kill(berth.pid, 'SIGKILL')
  await berth.kill()
  // What a crash of the whole machine may leave behind besides.
  writeFileSync(file(), `${readFileSync(file(), 'utf8')}{"time":"torn`)
  berth = await start()
  await askToken('ann', 'ann secret', ['repository:again:pull'], '203.0.113.6')
  const entries = await within('the next row', overHttp, (rows) => rows.at(-1)?.asked === 'repository:again:pull')
  await within(
    'the next line',
    () => readFileSync(file(), 'utf8'),
    (text) => text.includes('"repository:again:pull"') && text.endsWith('\n'),
  )
  const rows = new Set(entries.map(({ asked }) => asked))
  const text = readFileSync(file(), 'utf8')
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  expect((JSON.parse(last) as Entry).asked).toBe('repository:again:pull')

  const ages = (isThere: (asked: string) => boolean) =>
    Math.max(0, ...answered.filter(({ asked }) => !isThere(asked)).map(({ at }) => clock - at))
  const missing = { rows: ages((asked) => rows.has(asked)), lines: ages((asked) => text.includes(`"${asked}"`)) }
  process.stderr.write(`      oldest of ${answered.length} missing: row ${missing.rows} ms, line ${missing.lines} ms\n`)
  expect(answered.length).toBeGreaterThan(100)
  expect(missing.rows).toBeLessThan(WRITTEN)
  expect(missing.lines).toBeLessThan(WRITTEN)
}, 180_000)

describe('rows go', () => {
  const DAY = 86_400_000
  // The days lead up to today: a start whose clock is far from the last use of the data waits with what it removes.
  let now = Date.now() - 6 * DAY

  /** Opens the same registry again, and tells what is left once the oldest have gone. */
  async function leftAfter(directory: string, audit: { keepMs: number; keepRows: number }, wanted: number) {
    const open = () =>
      startDefended({ directory, now: () => now, change: (_, { audit: own }) => Object.assign(own, audit) })
    const registry = await open()
    try {
      const list = async () => {
        const response = await registry.app.control(new Request('http://berth/api/v1/audit?limit=1000&kind=token'))
        return ((await response.json()) as { entries: Entry[] }).entries.map(({ asked }) => asked).reverse()
      }
      return await within('rows that go', list, (rows) => rows.length <= wanted)
    } finally {
      await registry.stop()
    }
  }

  test('when they are too old, or too many, as the configuration says', async () => {
    const directory = join(folder, 'pruned')
    const registry = await startDefended({ directory, now: () => now })
    for (let day = 0; day < 6; day++) {
      const url = `${registry.url}/auth?service=${SERVICE}&scope=repository:day${day}:pull`
      expect((await fetch(url, { headers: basic('ann', 'ann secret') })).status).toBe(200)
      now += DAY
    }
    await registry.stop()
    const names = (...days: number[]) => days.map((day) => `repository:day${day}:pull`)
    expect(await leftAfter(directory, { keepMs: 4.5 * DAY, keepRows: 1000 }, 4)).toEqual(names(2, 3, 4, 5))
    expect(await leftAfter(directory, { keepMs: 100 * DAY, keepRows: 2 }, 2)).toEqual(names(4, 5))
  }, 180_000)
})
