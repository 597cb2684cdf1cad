import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listen } from '../../src/http/listen.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { type DefendedOptions, SERVICE, startDefended } from './defended-registry.ts'
import { type Answer, ask } from './exchange.ts'
import { basic, hashOf } from './live-server.ts'

const START = Date.parse('2026-01-02T03:04:05Z')
const running: TestRegistry[] = []
const folders: string[] = []
let clock = START

afterEach(async () => {
  for (const registry of running.splice(0)) await registry.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  clock = START
})

async function start(options: DefendedOptions = {}): Promise<TestRegistry> {
  const registry = await startDefended({ now: () => clock, ...options })
  running.push(registry)
  return registry
}

/** Users of a file alone, at `/v2/` itself. */
async function startWithFile(): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-defence-'))
  folders.push(folder)
  const path = join(folder, 'htpasswd')
  writeFileSync(path, `ann:${await hashOf('ann secret')}\nbob:${await hashOf('bob secret')}\n`)
  const env = { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'r', REGISTRY_AUTH_HTPASSWD_PATH: path }
  const registry = await startRegistry({ env, now: () => clock })
  running.push(registry)
  return registry
}

type Door = (user: string, password: string, headers?: Record<string, string>) => Promise<Answer>

const doorOf =
  ({ port }: TestRegistry, path: string): Door =>
  (user, password, headers = {}) =>
    ask(port, 'GET', path, { headers: { ...basic(user, password), ...headers } })
/** Another each time: the same wrong password again is a client that nobody told the new one. */
let guesses = 0
const guess = () => `guess ${++guesses}`
const TOKEN = `/auth?service=${SERVICE}`
const ME = '/api/v1/me'

async function times(count: number, work: () => Promise<Answer>): Promise<number[]> {
  const statuses: number[] = []
  for (let i = 0; i < count; i++) statuses.push((await work()).status)
  return statuses
}

/** The statuses of answers, each with how often it came. */
function tally(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Passwords that were handed to a thread, to be compared with a hash. */
function watchVerifications(): { count(): number; restore(): void } {
  const posted = spyOn(Worker.prototype, 'postMessage')
  const isVerification = ([message]: readonly unknown[]) =>
    typeof message === 'object' && message !== null && 'hash' in message && 'password' in message
  return { count: () => posted.mock.calls.filter(isVerification).length, restore: () => posted.mockRestore() }
}

describe('after five wrong passwords the sixth attempt waits', () => {
  const doors: [string, () => Promise<Door>, (answer: Answer) => void][] = [
    [
      'at the token endpoint, in words that Docker shows',
      async () => doorOf(await start(), TOKEN),
      ({ headers, text }) => {
        expect(headers['content-type']).toBe('application/json')
        const message = 'too many failed logins; try again later (in 1 s)'
        expect(JSON.parse(text)).toEqual({ errors: [{ code: 'TOOMANYREQUESTS', message }] })
      },
    ],
    [
      'at the token endpoint, by a form',
      async () => {
        const { port } = await start()
        return (username, password) => {
          const body = String(new URLSearchParams({ grant_type: 'password', service: SERVICE, username, password }))
          return ask(port, 'POST', '/auth', { body, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } })
        }
      },
      ({ text }) => expect(text).toContain('TOOMANYREQUESTS'),
    ],
    [
      'at /v2/ with users of a file',
      async () => doorOf(await startWithFile(), '/v2/'),
      ({ text }) => expect(JSON.parse(text)).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] }),
    ],
    [
      'at the API, as a problem (RFC 9457)',
      async () => doorOf(await start(), ME),
      ({ headers, text }) => {
        expect(headers['content-type']).toBe('application/problem+json')
        expect(JSON.parse(text)).toEqual({
          type: 'about:blank',
          title: 'Too Many Requests',
          status: 429,
          detail: 'too many failed logins; try again later',
        })
      },
    ],
  ]
  test.each(doors)('%s', async (_, open, check) => {
    const door = await open()
    expect(await times(5, () => door('ann', guess()))).toEqual([401, 401, 401, 401, 401])
    const refused = await door('ann', guess())
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1'])
    check(refused)
    // The right password does not help now: else a guess would tell that it was one.
    expect((await door('ann', 'ann secret')).status).toBe(429)
    // Another account is free, from the same address too.
    expect((await door('bob', 'bob secret')).status).toBe(200)
    clock += 1000
    expect((await door('ann', guess())).status).toBe(401)
    const longer = await door('ann', guess())
    expect([longer.status, longer.headers['retry-after']]).toEqual([429, '2'])
    clock += 2000
    expect((await door('ann', 'ann secret')).status).toBe(200)
  })
})

test('one count for all doors: guesses at the token endpoint count at the API', async () => {
  const registry = await start()
  await times(3, () => doorOf(registry, TOKEN)('ann', guess()))
  expect(await times(3, () => doorOf(registry, ME)('ann', guess()))).toEqual([401, 401, 429])
  expect((await doorOf(registry, TOKEN)('ann', 'ann secret')).status).toBe(429)
})

describe('side by side', () => {
  test('guesses get no more tries than one after the other', async () => {
    const verifications = watchVerifications()
    try {
      const door = doorOf(await start(), TOKEN)
      const answers = await Promise.all(Array.from({ length: 40 }, () => door('ann', guess())))
      expect(tally(answers)).toEqual({ 401: 5, 429: 35 })
      expect(verifications.count()).toBe(5)
    } finally {
      verifications.restore()
    }
  })

  test('many clients with the right password all come in, at every door', async () => {
    const registry = await start()
    for (const path of [TOKEN, ME]) {
      const door = doorOf(registry, path)
      const answers = await Promise.all(Array.from({ length: 40 }, () => door('ann', 'ann secret')))
      expect(tally(answers)).toEqual({ 200: 40 })
    }
  })

  test('a user who is logged in goes on while eight strangers guess from the same address', async () => {
    const registry = await start({ throttle: { perAddress: 20 } })
    const door = doorOf(registry, TOKEN)
    expect((await door('ann', 'ann secret')).status).toBe(200)
    const strangers = Array.from({ length: 8 }, async (_, i) => {
      const answers: Answer[] = []
      for (let n = 0; n < 10; n++) answers.push(await door(`stranger${i}`, guess()))
      return answers
    })
    const mine = await times(40, () => door('ann', 'ann secret'))
    expect(mine).toEqual(Array.from({ length: 40 }, () => 200))
    const answers = (await Promise.all(strangers)).flat()
    expect(tally(answers)).toEqual({ 401: 20, 429: 60 })
    expect((await door('ann', 'ann secret')).status).toBe(200)
    // Whoever has not logged in of late waits with the strangers at that address.
    expect((await door('bob', 'bob secret')).status).toBe(429)
  })
})

describe('who counts as one client', () => {
  const from = (address: string) => ({ 'X-Forwarded-For': address })
  const PROXIES = ['127.0.0.0/8', '10.0.0.0/8']

  test.each([
    ['the token endpoint', TOKEN],
    ['the API', ME],
  ])('behind a trusted proxy it is the address that the proxy names, at %s', async (_, path) => {
    const door = doorOf(await start({ trustedProxies: PROXIES }), path)
    await times(5, () => door('ann', guess(), from('203.0.113.7')))
    expect((await door('ann', guess(), from('203.0.113.7'))).status).toBe(429)
    expect((await door('ann', 'ann secret', from('203.0.113.8'))).status).toBe(200)
    // What the client wrote before the proxy's own entry is hearsay; an inner proxy is passed over.
    expect((await door('ann', guess(), from('198.51.100.1, 203.0.113.7'))).status).toBe(429)
    expect((await door('ann', guess(), from('198.51.100.1, 203.0.113.7, 10.1.2.3'))).status).toBe(429)
  })

  test('from a peer that is no trusted proxy a forged header does not help', async () => {
    const door = doorOf(await start(), TOKEN)
    const statuses: number[] = []
    for (let i = 0; i < 8; i++) statuses.push((await door('ann', guess(), from(`203.0.113.${i}`))).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429])
  })

  test('addresses of IPv6 count by their network', async () => {
    const door = doorOf(await start({ trustedProxies: PROXIES }), TOKEN)
    const statuses: number[] = []
    for (let i = 1; i <= 6; i++) statuses.push((await door('ann', guess(), from(`2001:db8:0:1::${i}`))).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
    expect((await door('ann', 'ann secret', from('2001:db8:0:2::1'))).status).toBe(200)
  })

  test('all accounts from one address together have a limit, and another address has its own', async () => {
    const door = doorOf(await start({ trustedProxies: PROXIES, throttle: { perAddress: 10 } }), TOKEN)
    const statuses: number[] = []
    for (let i = 0; i < 12; i++) statuses.push((await door(`user${i}`, guess(), from('203.0.113.7'))).status)
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429])
    expect((await door('ann', 'ann secret', from('203.0.113.7'))).status).toBe(429)
    expect((await door('ann', 'ann secret', from('203.0.113.8'))).status).toBe(200)
  })

  test('on a unix socket, which has no addresses, it is the account', async () => {
    const registry = await start()
    const path = join(registry.directory, 'test.sock')
    const listener = await listen({ address: { kind: 'unix', path }, fetch: registry.app.fetch, onError: () => {} })
    try {
      const door = async (user: string, password: string) => {
        const headers = { ...basic(user, password), ...from('203.0.113.9') }
        return (await fetch(`http://localhost${TOKEN}`, { unix: path, headers })).status
      }
      const statuses: number[] = []
      for (let i = 0; i < 6; i++) statuses.push(await door('ann', guess()))
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
      expect(await door('bob', 'bob secret')).toBe(200)
    } finally {
      await listener.stop(0)
    }
  })
})

describe('a name that nobody has costs as many verifications of a password as one that somebody has', () => {
  test.each<[string, () => Promise<TestRegistry>, string, readonly string[]]>([
    ['at the token endpoint', start, TOKEN, ['ann', 'admin', 'nobody', 'robot-nobody', 'x'.repeat(300), 'Änn']],
    ['at the API', start, ME, ['ann', 'admin', 'nobody']],
    ['with users of a file', startWithFile, '/v2/', ['ann', 'bob', 'nobody', 'x'.repeat(300)]],
  ])('%s', async (_, open, path, names) => {
    const door = doorOf(await open(), path)
    const verifications = watchVerifications()
    try {
      for (const name of names) {
        const before = verifications.count()
        const answer = await door(name, guess())
        expect({ name, status: answer.status, verified: verifications.count() - before }).toEqual({
          name,
          status: 401,
          verified: 1,
        })
      }
    } finally {
      verifications.restore()
    }
  })
})

test('a reload with the same limits forgets no failure', async () => {
  let config: Parameters<TestRegistry['app']['reconfigure']>[0] | undefined
  const registry = await start({
    change: (made) => {
      config = made
    },
  })
  const door = doorOf(registry, TOKEN)
  await times(5, () => door('ann', guess()))
  if (config === undefined) throw new Error('no configuration')
  await registry.app.reconfigure(structuredClone(config))
  expect((await door('ann', 'ann secret')).status).toBe(429)
})
