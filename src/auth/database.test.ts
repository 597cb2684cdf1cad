import { expect, test } from 'bun:test'
import type { UserRow } from '../metadata/metadata.ts'
import { authenticatorSuite, HASH_123 } from './authenticator.suite.ts'
import { createDatabaseAuthenticator } from './database.ts'
import { createPasswords } from './password.ts'

function row(name: string, passwordHash: string | undefined, admin = false): UserRow {
  return { name, passwordHash, admin, createdAt: 0, updatedAt: 0 }
}

authenticatorSuite('database', async (passwords) => {
  const rows = new Map<string, UserRow>()
  let broken = false
  const users = {
    async find(name: string) {
      if (broken) throw new Error('disk I/O error in /var/lib')
      return rows.get(name)
    },
  }
  return {
    authenticator: createDatabaseAuthenticator({ users, passwords }),
    async put(name, hash) {
      rows.set(name, row(name, hash))
    },
    async remove(name) {
      rows.delete(name)
    },
    async breakDown() {
      broken = true
    },
  }
})

const source = (found: UserRow | undefined) =>
  createDatabaseAuthenticator({ users: { find: async () => found }, passwords: createPasswords({ now: () => 0 }) })

test('an administrator is one', async () => {
  expect(await source(row('a', HASH_123, true)).authenticate('a', '123')).toEqual({
    kind: 'yes',
    labels: {},
    admin: true,
  })
})

test('a user without a password may not log in by password', async () => {
  expect(await source(row('a', undefined)).authenticate('a', 'x')).toBe('wrong-password')
  expect(await source(row('a', undefined)).authenticate('a', '')).toBe('wrong-password')
})

test('a hash that Bun makes by default is good here', async () => {
  const hash = await Bun.password.hash('secret', { algorithm: 'argon2id', memoryCost: 8, timeCost: 2 })
  expect(await source(row('a', hash)).authenticate('a', 'secret')).toMatchObject({ kind: 'yes' })
  expect(await source(row('a', hash)).authenticate('a', 'Secret')).toBe('wrong-password')
})
