import { expect, test } from 'bun:test'
import type { UserRow } from '../metadata/metadata.ts'
import { HASH_123 } from './authenticator.suite.ts'
import { UnavailableError } from './authenticator.ts'
import { createDatabaseAuthenticator } from './database.ts'
import { hashedSuite } from './hashed.suite.ts'
import { createPasswords } from './password.ts'

function row(name: string, passwordHash: string | undefined, more: Partial<UserRow> = {}): UserRow {
  return {
    name,
    kind: 'user',
    source: 'berth',
    passwordHash,
    admin: false,
    disabled: false,
    labels: {},
    grants: undefined,
    description: '',
    createdAt: 0,
    updatedAt: 0,
    ...more,
  }
}

const noGroups = { of: async () => [] }

hashedSuite('database', async (passwords) => {
  const rows = new Map<string, UserRow>()
  let broken = false
  const users = {
    async find(name: string) {
      if (broken) throw new Error('disk I/O error in /var/lib')
      return rows.get(name)
    },
  }
  return {
    authenticator: createDatabaseAuthenticator({ users, groups: noGroups, passwords }),
    async put(name, hash) {
      rows.set(name, row(name, hash))
    },
    async remove(name) {
      rows.delete(name)
    },
    async label(name, labels) {
      rows.set(name, { ...row(name, undefined), ...rows.get(name), labels })
    },
    async breakDown() {
      broken = true
    },
  }
})

const source = (found: UserRow | undefined, groups: string[] = []) =>
  createDatabaseAuthenticator({
    users: { find: async () => found },
    groups: { of: async () => groups },
    passwords: createPasswords({ now: () => 0 }),
  })

test('an administrator is one', async () => {
  expect(await source(row('a', HASH_123, { admin: true })).authenticate('a', '123')).toEqual({
    kind: 'yes',
    labels: {},
    admin: true,
  })
})

test('the groups of a user are values of a label, besides its own', async () => {
  const user = row('a', HASH_123, { labels: { team: ['x'], groups: ['own', 'dev'] } })
  const labels = { team: ['x'], groups: ['dev', 'own', 'qa'] }
  expect(await source(user, ['dev', 'qa']).authenticate('a', '123')).toMatchObject({ labels })
  expect(await source(user, ['dev', 'qa']).find?.('a')).toMatchObject({ labels })
  expect(await source(row('a', HASH_123), ['qa']).find?.('a')).toMatchObject({ labels: { groups: ['qa'] } })
})

test('a user without a password may not log in by password', async () => {
  expect(await source(row('a', undefined)).authenticate('a', 'x')).toBe('wrong-password')
  expect(await source(row('a', undefined)).authenticate('a', '')).toBe('wrong-password')
})

test('a disabled user is refused, and no other source is asked for that name', async () => {
  const user = row('a', HASH_123, { disabled: true })
  expect(await source(user).authenticate('a', '123')).toBe('wrong-password')
  expect(await source(user).find?.('a')).toBeUndefined()
  const foreign = row('a', undefined, { disabled: true, source: 'github' })
  expect(await source(foreign).authenticate('a', '123')).toBe('wrong-password')
})

test('an account of a web sign-in is left to the source that made it', async () => {
  const foreign = source(row('a', undefined, { source: 'github' }))
  expect(await foreign.authenticate('a', 'x')).toBe('no-match')
  expect(await foreign.find?.('a')).toBeUndefined()
})

test('a robot has rights of its own, never an administrator’s, and no password at all', async () => {
  const grants = [{ type: 'repository', name: 'a', actions: ['pull'] }]
  const robot = row('robot-a', HASH_123, { kind: 'robot', grants, admin: true })
  expect(await source(robot).authenticate('robot-a', '123')).toBe('wrong-password')
  expect(await source(robot).find?.('robot-a')).toEqual({ labels: {}, grants, stamp: expect.any(String) })
  const without = row('robot-a', undefined, { kind: 'robot' })
  expect(await source(without).find?.('robot-a')).toMatchObject({ grants: [] })
})

test('groups that cannot be read let nobody in', async () => {
  const broken = createDatabaseAuthenticator({
    users: { find: async () => row('a', HASH_123) },
    groups: { of: () => Promise.reject(new Error('disk')) },
    passwords: createPasswords({ now: () => 0 }),
  })
  const error = await broken.authenticate('a', '123').catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UnavailableError)
  expect(String(error)).toBe('UnavailableError: the user database does not answer')
})

test('a hash that Bun makes by default is good here', async () => {
  const hash = await Bun.password.hash('secret', { algorithm: 'argon2id', memoryCost: 8, timeCost: 2 })
  expect(await source(row('a', hash)).authenticate('a', 'secret')).toMatchObject({ kind: 'yes' })
  expect(await source(row('a', hash)).authenticate('a', 'Secret')).toBe('wrong-password')
})
