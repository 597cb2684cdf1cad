import { expect, test } from 'bun:test'
import { HASH_123 } from './authenticator.suite.ts'
import type { Outcome } from './authenticator.ts'
import { hashedSuite } from './hashed.suite.ts'
import { createPasswords } from './password.ts'
import { createStaticAuthenticator, type StaticUser } from './static.ts'

hashedSuite('static', async (passwords) => {
  const users: Record<string, StaticUser> = Object.create(null)
  // A configuration is read once: each change makes a new source around the same memory of passwords.
  let current = createStaticAuthenticator({ users, passwords })
  const change = async () => {
    current = createStaticAuthenticator({ users, passwords })
  }
  return {
    authenticator: { name: 'static', authenticate: (account, password) => current.authenticate(account, password) },
    async put(name, passwordHash) {
      users[name] = { passwordHash, labels: {} }
      await change()
    },
    async remove(name) {
      delete users[name]
      await change()
    },
  }
})

const passwords = createPasswords({ now: () => 0 })
const source = createStaticAuthenticator({
  users: {
    '': { passwordHash: undefined, labels: {} },
    open: { passwordHash: undefined, labels: { group: ['all'] } },
    test: { passwordHash: HASH_123, labels: { group: ['dev', 'VIP'] } },
  },
  passwords,
})

test('a user without a password may come with any', async () => {
  const yes: Outcome = { kind: 'yes', labels: { group: ['all'] } }
  expect(await source.authenticate('open', 'whatever')).toEqual(yes)
  expect(await source.authenticate('open', '')).toEqual(yes)
})

test('the user without a name lets clients without credentials in', async () => {
  expect(await source.authenticate('', '')).toEqual({ kind: 'yes', labels: {} })
})

test('labels come with the user', async () => {
  expect(await source.authenticate('test', '123')).toEqual({ kind: 'yes', labels: { group: ['dev', 'VIP'] } })
})
