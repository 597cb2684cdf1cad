import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../test/free-port.ts'
import type { AclRequest } from './acl.ts'
import { HASH_123 } from './authenticator.suite.ts'
import { UnavailableError } from './authenticator.ts'
import { hashedSuite } from './hashed.suite.ts'
import { createMongoRules, createMongoUsers, type MongoOptions } from './mongo.ts'
import { type FakeMongo, startFakeMongo } from './mongo-server.fixture.ts'
import { createPasswords, type Passwords } from './password.ts'

// Everything here runs against a fake of the protocol; no real MongoDB has seen it.

const folder = await mkdtemp(join(tmpdir(), 'berth-mongo-'))
const endings: (() => Promise<void> | void)[] = []
afterAll(async () => {
  for (const end of endings.reverse()) await end()
  await rm(folder, { recursive: true })
})

/** Milliseconds for each question, where the time is not what is tested; and where a server that is lost is waited for. */
const PATIENCE = 60_000
const HURRY = 4_000

function fakeMongo(options?: Parameters<typeof startFakeMongo>[0]): FakeMongo {
  const fake = startFakeMongo(options)
  endings.push(() => fake.stop())
  return fake
}

function optionsFor(fake: FakeMongo, collection: string, more: Partial<MongoOptions> = {}) {
  const warnings: string[] = []
  const options: MongoOptions = {
    addrs: [`127.0.0.1:${fake.port}`],
    database: 'docker_auth',
    collection,
    username: undefined,
    password: undefined,
    passwordFile: undefined,
    enableTls: false,
    timeoutMs: PATIENCE,
    ...more,
  }
  return { ...options, warnings, warn: (message: string) => void warnings.push(message) }
}

function usersOf(
  fake: FakeMongo,
  more: Partial<MongoOptions> = {},
  passwords: Passwords = createPasswords({ now: () => 0 }),
) {
  const options = optionsFor(fake, 'users', more)
  const authenticator = createMongoUsers({ ...options, passwords })
  endings.push(() => authenticator.close?.())
  return { authenticator, warnings: options.warnings }
}

function rulesOf(fake: FakeMongo, now = () => 0, more: Partial<MongoOptions> = {}) {
  const options = optionsFor(fake, 'acl', more)
  const rules = createMongoRules({ ...options, cacheTtlMs: 1_000, now })
  endings.push(() => rules.close?.())
  return { rules, warnings: options.warnings }
}

async function failure(answer: Promise<unknown>): Promise<unknown> {
  return await answer.then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

const request: AclRequest = {
  ...{ account: 'test', type: 'repository', name: 'a/b', service: 's' },
  ...{ ip: undefined, labels: {}, actions: ['pull', 'push'] },
}

hashedSuite('mongo_auth (on a fake)', async (passwords) => {
  const fake = fakeMongo()
  const users: Record<string, unknown>[] = []
  fake.collections.set('docker_auth.users', users)
  const { authenticator } = usersOf(fake, { timeoutMs: HURRY }, passwords)
  const at = (name: string) => users.findIndex(({ username }) => username === name)
  return {
    authenticator,
    async put(username, password) {
      const known = users[at(username)]
      if (known === undefined) users.push({ username, password })
      else known.password = password
    },
    async remove(name) {
      users.splice(at(name), 1)
    },
    async label(name, labels) {
      Object.assign(users[at(name)] ?? {}, { labels })
    },
    async breakDown() {
      fake.stop()
    },
  }
})

describe('users of MongoDB', () => {
  test.each([
    ['without a password let any in', { username: 'u' }, 'x', { kind: 'yes', labels: {} }],
    ['without a password let none in, too', { username: 'u' }, '', { kind: 'yes', labels: {} }],
    ['whose password is null let any in', { username: 'u', password: null }, 'x', { kind: 'yes', labels: {} }],
    ['whose password is a number let nobody in', { username: 'u', password: 123 }, '123', 'wrong-password'],
    ['whose password is false let nobody in', { username: 'u', password: false }, 'x', 'wrong-password'],
    [
      'with labels that are null have none',
      { username: 'u', password: HASH_123, labels: null },
      '123',
      { kind: 'yes', labels: {} },
    ],
    [
      'with a label that is null have no value of it',
      { username: 'u', password: HASH_123, labels: { a: null } },
      '123',
      { kind: 'yes', labels: { a: [] } },
    ],
  ])('%s', async (_, document, password, expected) => {
    const fake = fakeMongo()
    fake.collections.set('docker_auth.users', [document])
    expect<unknown>(await usersOf(fake).authenticator.authenticate('u', password)).toEqual(expected)
  })

  test.each([
    ['a text', 'admin'],
    ['a list', ['admin']],
    ['a map of texts', { group: 'admin' }],
    ['a map of lists of numbers', { group: [1] }],
  ])('whose labels are %s are nobody to decide about', async (_, labels) => {
    const fake = fakeMongo()
    fake.collections.set('docker_auth.users', [{ username: 'u', password: HASH_123, labels }])
    const { authenticator } = usersOf(fake)
    expect(await failure(authenticator.authenticate('u', '123'))).toBeInstanceOf(UnavailableError)
  })

  test('are asked for by their exact name, in one query, and get a unique index once', async () => {
    const fake = fakeMongo()
    const { authenticator } = usersOf(fake)
    await authenticator.authenticate('u', 'x')
    await authenticator.authenticate('v', 'x')
    await authenticator.close?.()
    const finds = fake.commands.filter(({ find }) => find !== undefined)
    expect(finds.map(({ filter, limit, collation }) => ({ filter, limit, collation }))).toEqual([
      { filter: { username: 'u' }, limit: 1, collation: { locale: 'simple' } },
      { filter: { username: 'v' }, limit: 1, collation: { locale: 'simple' } },
    ])
    const indexes = fake.commands.filter(({ createIndexes }) => createIndexes !== undefined)
    expect(indexes.map((command) => command.indexes)).toEqual([
      [{ key: { username: 1 }, name: 'username_1', unique: true }],
    ])
  })

  test('can be read where the index cannot be made, with one warning', async () => {
    const fake = fakeMongo()
    fake.failures.set('createIndexes', { code: 13, errmsg: 'not authorized' })
    const { authenticator, warnings } = usersOf(fake)
    for (let i = 0; i < 3; i++) expect(await authenticator.authenticate('u', 'x')).toBe('no-match')
    for (let i = 0; i < 3000 && warnings.length === 0; i++) await Bun.sleep(10)
    expect(warnings).toEqual(['mongo_auth: no unique index of username could be made: not authorized'])
  })

  test('come back by themselves with the server', async () => {
    const fake = fakeMongo({ port: await freePort() })
    fake.collections.set('docker_auth.users', [{ username: 'u', password: HASH_123 }])
    const { authenticator } = usersOf(fake, { timeoutMs: HURRY })
    expect(await authenticator.authenticate('u', '123')).toMatchObject({ kind: 'yes' })
    fake.stop()
    expect(await failure(authenticator.authenticate('u', '123'))).toBeInstanceOf(UnavailableError)
    fake.start()
    expect(await authenticator.authenticate('u', '123')).toMatchObject({ kind: 'yes' })
  })

  test('are given up on where the server keeps silent, and come back when it speaks', async () => {
    const fake = fakeMongo()
    fake.collections.set('docker_auth.users', [{ username: 'u', password: HASH_123 }])
    const { authenticator } = usersOf(fake, { timeoutMs: HURRY })
    expect(await authenticator.authenticate('u', '123')).toMatchObject({ kind: 'yes' })
    fake.silent = true
    expect(await failure(authenticator.authenticate('u', '123'))).toBeInstanceOf(UnavailableError)
    fake.silent = false
    expect(await authenticator.authenticate('u', '123')).toMatchObject({ kind: 'yes' })
  })

  test('are found at the second address where the first is dead', async () => {
    const dead = fakeMongo({ port: await freePort() })
    dead.stop()
    const fake = fakeMongo({ setName: 'rs0' })
    fake.collections.set('docker_auth.users', [{ username: 'u', password: HASH_123 }])
    const { authenticator } = usersOf(fake, { addrs: [`127.0.0.1:${dead.port}`, `127.0.0.1:${fake.port}`] })
    expect(await authenticator.authenticate('u', '123')).toMatchObject({ kind: 'yes' })
  })

  test('cannot be read where the login is refused; no message holds the password, and a new file counts', async () => {
    const fake = fakeMongo()
    const passwordFile = join(folder, 'password')
    const { authenticator } = usersOf(fake, { username: 'root', password: 'unused', passwordFile })
    const missing = await failure(authenticator.authenticate('u', 'x'))
    expect(missing).toBeInstanceOf(UnavailableError)
    expect(fake.commands).toEqual([])
    const names: string[] = []
    for (const secret of ['first-secret', 'second-secret']) {
      await writeFile(passwordFile, `${secret}\n`)
      const refused = await failure(authenticator.authenticate('u', 'x'))
      expect(refused).toBeInstanceOf(UnavailableError)
      expect(Bun.inspect(refused)).not.toContain(secret)
      names.push(...fake.commands.splice(0).map(({ saslStart, $db, mechanism }) => `${saslStart} ${$db} ${mechanism}`))
    }
    // A login for each password, at the database `admin`.
    expect(names.filter((name) => name.startsWith('1 admin SCRAM-SHA-')).length).toBe(2)
  })

  test('cannot be read from an address that would change the connection', async () => {
    const fake = fakeMongo()
    const { authenticator } = usersOf(fake, { addrs: [`127.0.0.1:${fake.port}/?tls=false`] })
    expect(await failure(authenticator.authenticate('u', 'x'))).toBeInstanceOf(UnavailableError)
    expect(fake.commands).toEqual([])
  })

  test('are not read in clear where TLS is wanted', async () => {
    const fake = fakeMongo()
    const { authenticator } = usersOf(fake, { enableTls: true, timeoutMs: 500 })
    expect(await failure(authenticator.authenticate('u', 'x'))).toBeInstanceOf(UnavailableError)
    expect(fake.commands).toEqual([])
  })
})

describe('rules of MongoDB', () => {
  const rule = (seq: unknown, name: string, actions: string[]) => ({ seq, match: { name }, actions })

  test('hold in the order of seq, whatever the order of documents', async () => {
    const fake = fakeMongo()
    fake.collections.set('docker_auth.acl', [rule(20, '**', ['*']), rule(3, 'a/*', ['pull']), rule(10, 'a/b', [])])
    const { rules } = rulesOf(fake)
    expect(await rules.authorize(request, 'first-match')).toEqual({ actions: ['pull'], rule: 'acl_mongo seq 3' })
    const traces = await rules.explain?.({ ...request, name: 'x' }, 'union')
    expect(traces?.map((trace) => trace.rule)).toEqual(['acl_mongo seq 3', 'acl_mongo seq 10', 'acl_mongo seq 20'])
  })

  test('stay while the server is lost, with one warning, and are new when it is back', async () => {
    const fake = fakeMongo({ port: await freePort() })
    fake.collections.set('docker_auth.acl', [rule(1, 'a/*', ['pull'])])
    let time = 0
    const { rules, warnings } = rulesOf(fake, () => time, { timeoutMs: HURRY })
    expect(await rules.authorize(request, 'first-match')).toMatchObject({ actions: ['pull'] })
    fake.stop()
    time = 1_000
    expect(await rules.authorize(request, 'first-match')).toMatchObject({ actions: ['pull'] })
    // That the index was being made when the server was lost may be said, too.
    const outages = () => warnings.filter((warning) => warning.includes('cannot be read'))
    expect(outages().length).toBe(1)
    expect(outages()[0]).toEndWith('; the ones from before hold')
    fake.collections.set('docker_auth.acl', [rule(1, 'a/*', ['push'])])
    fake.start()
    expect(await rules.refresh()).toBe(true)
    expect(await rules.authorize(request, 'first-match')).toMatchObject({ actions: ['push'] })
    expect(outages().length).toBe(1)
  })

  test('more than a first batch are read', async () => {
    const fake = fakeMongo()
    const many = Array.from({ length: 500 }, (_, seq) => rule(seq, `x/${seq}`, []))
    fake.collections.set('docker_auth.acl', [...many, rule(500, '**', ['*'])])
    const { rules } = rulesOf(fake)
    expect(await rules.authorize({ ...request, name: 'y' }, 'first-match')).toMatchObject({ rule: 'acl_mongo seq 500' })
  })
})
