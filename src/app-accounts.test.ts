import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServices, refreshTokensOf, signInAccountsOf } from './app-accounts.ts'
import type { Changes } from './auth/administration.ts'
import { createChain } from './auth/chain.ts'
import { createDatabaseAuthenticator } from './auth/database.ts'
import { createPasswords } from './auth/password.ts'
import { createWebUsers } from './auth/web-users.ts'
import { type Metadata, MetadataError } from './metadata/metadata.ts'
import { openQuickly } from './metadata/sqlite.fixture.ts'
import { createLog } from './telemetry/log.ts'

/** Sign-in on a real database, whose changes wait for each other. */

const START = Date.parse('2026-01-02T03:04:05Z')
const ROOT = { account: 'root', source: 'berth', address: '' }
const MALLORY = { source: 'github', account: 'mallory', labels: {}, tokenLifeMs: 1_000_000_000 } as const

let folder: string
let count = 0
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-accounts-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function open() {
  const metadata: Metadata = await openQuickly({ path: join(folder, `${++count}.db`), now: () => START })
  let time = START
  const now = () => time
  const recorded: string[] = []
  const log = createLog({ level: 'error', formatter: 'text', fields: {}, now, write: () => {} })
  const passwords = createPasswords({ now })
  const record = ({
    account,
    asked,
    outcome,
    detail,
  }: {
    account: string
    asked: string
    outcome: string
    detail: string
  }) => void recorded.push(`${account} ${asked}: ${outcome}: ${detail}`)
  const services = createServices({ metadata, passwords, log, now, record })
  const queued = watchQueue(services.changes)
  const { users, groups } = metadata
  const sources = ['github', 'gitlab'].map((kind) => createWebUsers({ kind, users, groups, passwords }))
  const chain = createChain([createDatabaseAuthenticator({ users, groups, passwords }), ...sources], passwords)
  const accounts = signInAccountsOf({ metadata, services, chain, now })
  return {
    metadata,
    services,
    recorded,
    now,
    signIn: accounts.conclude,
    wait(ms: number) {
      time += ms
    },
    queued,
    /** Keeps all that is asked for later waiting until it is let go. */
    async hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const done = services.changes.run(ROOT, 'x', '', async () => {
        begun.resolve()
        await promise
      })
      await begun.promise
      return async () => {
        resolve()
        await done
      }
    },
    [Symbol.asyncDispose]: () => metadata.close(),
  }
}

/** Tells when a further change has its place in the queue: what comes after that is later. Sign-ins read before they ask for one. */
function watchQueue(changes: Changes): () => Promise<void> {
  const { run, prepared } = changes
  let taken = Promise.withResolvers<void>()
  const tell = () => {
    taken.resolve()
    taken = Promise.withResolvers<void>()
  }
  changes.run = (...args) => {
    const result = run(...args)
    tell()
    return result
  }
  changes.prepared = (actor, asked, detail, prepare, work) => {
    const prepareAndTell = async () => {
      const made = await prepare()
      tell()
      return made
    }
    return prepared(actor, asked, detail, prepareAndTell, work)
  }
  return async () => {
    await taken.promise
    // One that was prepared takes its place right after that.
    await Bun.sleep(0)
  }
}

const refusal = (text: string) => ({ refused: text })

describe('a sign-in', () => {
  test('makes the account, renews it, and hands out a token each time', async () => {
    await using opened = await open()
    const { signIn, services, recorded } = opened
    const first = await signIn(MALLORY)
    const second = await signIn({ ...MALLORY, labels: { groups: ['dev'] } })
    expect([first, second]).toEqual([
      { token: expect.any(String), expiresAt: START + MALLORY.tokenLifeMs },
      { token: expect.any(String), expiresAt: START + MALLORY.tokenLifeMs },
    ])
    expect(await services.accounts.find('mallory')).toMatchObject({ source: 'github', labels: { groups: ['dev'] } })
    expect(recorded.filter((line) => line.includes(' user '))).toEqual([
      'mallory user mallory: done: signed up',
      'mallory user mallory: done: signed in',
    ])
  })

  test('does not undo what an administrator changes while it waits for its turn', async () => {
    await using opened = await open()
    const { signIn, services, metadata, hold, queued } = opened
    await signIn(MALLORY)
    await services.accounts.change('mallory', { admin: true }, ROOT)
    const letGo = await hold()
    const change = queued()
    const disabled = services.accounts.change('mallory', { disabled: true, admin: false }, ROOT)
    await change
    const waiting = queued()
    const late = signIn(MALLORY)
    await waiting
    await letGo()
    await disabled
    expect(await late).toEqual(refusal('The account mallory is disabled. Ask an administrator.'))
    expect(await metadata.users.find('mallory')).toMatchObject({ disabled: true, admin: false })
    expect(await signIn(MALLORY)).toEqual(refusal('The account mallory is disabled. Ask an administrator.'))
  })

  test('after the removal of its account is one of somebody new', async () => {
    await using opened = await open()
    const { signIn, services, metadata, hold, queued } = opened
    await signIn(MALLORY)
    await services.accounts.change('mallory', { admin: true, description: 'old' }, ROOT)
    const letGo = await hold()
    const removed = services.accounts.remove('mallory', ROOT)
    const waiting = queued()
    const late = signIn(MALLORY)
    await waiting
    await letGo()
    await removed
    expect(await late).toHaveProperty('token')
    expect(await metadata.users.find('mallory')).toMatchObject({ admin: false, description: '' })
  })

  test('gets no token where its account is removed before it has one', async () => {
    await using opened = await open()
    const { signIn, services, metadata, hold, queued } = opened
    const letGo = await hold()
    const waiting = queued()
    const late = signIn(MALLORY)
    await waiting
    const removed = services.accounts.remove('mallory', ROOT)
    await letGo()
    await removed
    expect(await late).toEqual(refusal('The account mallory was removed. Ask an administrator.'))
    expect(await metadata.tokens.list({}, { limit: 1 })).toEqual([])
  })

  test('with two providers at once gives a name to one of them', async () => {
    await using opened = await open()
    const { signIn, metadata } = opened
    const results = await Promise.all([signIn(MALLORY), signIn({ ...MALLORY, source: 'gitlab' })])
    expect(results.filter((result) => 'token' in result)).toHaveLength(1)
    const { source } = (await metadata.users.find('mallory')) ?? {}
    expect((await metadata.tokens.list({}, { limit: 9 })).map((token) => token.source)).toEqual([String(source)])
  })

  test.each(['@operator', 'robot-ci', 'Robot-ci', 'jo'])('under the name %s is refused', async (account) => {
    await using opened = await open()
    const { signIn, services, metadata } = opened
    await services.accounts.create({ name: 'jo' }, ROOT)
    const text = `The name ${account} belongs to another account here. Ask an administrator.`
    expect(await signIn({ ...MALLORY, account })).toEqual(refusal(text))
    expect((await metadata.users.list({ limit: 9 })).map(({ name }) => name)).toEqual(['jo'])
  })

  test('takes the place of the oldest one where the account has 200 tokens', async () => {
    await using opened = await open()
    const { signIn, services, metadata, wait } = opened
    const mine = { source: 'github', account: 'mallory', name: 'mine', kind: 'personal', stamp: undefined } as const
    await services.tokens.create({ ...mine, limits: undefined, expiresAt: undefined })
    for (let i = 0; i < 201; i++) {
      wait(60_000)
      expect(await signIn(MALLORY)).toHaveProperty('token')
    }
    const names = (await metadata.tokens.list({}, { limit: 1000 })).map(({ name }) => name)
    expect([names.length, names.includes('mine')]).toEqual([200, true])
    expect(names.toSorted()[1]).toBe('signed in 2026-01-02 03:07')
  })

  test('is told so where 200 tokens are of the person’s own making', async () => {
    await using opened = await open()
    const { signIn, services } = opened
    const mine = { source: 'github', account: 'mallory', name: 'mine', kind: 'personal', stamp: undefined } as const
    const own = Array.from({ length: 200 }, () =>
      services.tokens.create({ ...mine, limits: undefined, expiresAt: undefined }),
    )
    await Promise.all(own)
    expect(await signIn(MALLORY)).toEqual(refusal('mallory has 200 tokens: revoke one first'))
  })

  test('that cannot be stored is no refusal', async () => {
    await using opened = await open()
    const { signIn, metadata } = opened
    metadata.users.put = () => Promise.reject(new MetadataError('no-space', 'x'))
    const error = await signIn(MALLORY).catch((thrown: unknown) => thrown)
    expect(String(error)).toBe('UnavailableError: the database has no space left on its disk')
  })
})

test('refresh tokens keep to 200 of an account under bursts, and go when their life without use is long over', async () => {
  await using opened = await open()
  const { services, metadata, now, wait } = opened
  const life = 86_400_000
  const refreshes = refreshTokensOf(services, life, now)
  const wanted = { source: 'berth', account: 'jo', stamp: 's', client: 'docker' }
  for (let burst = 0; burst < 2; burst++) {
    await Promise.all(Array.from({ length: 300 }, () => refreshes.create(wanted)))
    expect(await metadata.tokens.list({ account: 'jo' }, { limit: 1000 })).toHaveLength(200)
  }
  wait(9 * life)
  expect(await services.tokens.removeEnded()).toBe(200)
})
