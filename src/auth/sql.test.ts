import { expect, test } from 'bun:test'
import { HASH_123 } from './authenticator.suite.ts'
import { UnavailableError } from './authenticator.ts'
import { createPasswords } from './password.ts'
import { createSqlAuthenticator, type ForeignUser } from './sql.ts'

// The contract of sources runs on real databases in metadata/foreign-accounts.test.ts.

function sourceOf(findUser: (name: string) => Promise<ForeignUser | undefined>) {
  const asked: string[] = []
  const accounts = {
    async findUser(name: string) {
      asked.push(name)
      return await findUser(name)
    },
    rules: async () => [],
    close: async () => void asked.push('close'),
  }
  return { asked, source: createSqlAuthenticator({ accounts, passwords: createPasswords({ now: () => 0 }) }) }
}

async function failure(answer: Promise<unknown>): Promise<unknown> {
  return await answer.then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

test('a user without a hash may not log in, and is not found', async () => {
  const { source } = sourceOf(async () => ({ passwordHash: null, labels: {} }))
  expect(await source.authenticate('u', 'x')).toBe('wrong-password')
  expect(await source.find?.('u')).toBeUndefined()
})

test('a hash that is not bcrypt matches nothing, and its user is not found', async () => {
  const passwordHash = await Bun.password.hash('secret', { algorithm: 'argon2id', memoryCost: 8, timeCost: 2 })
  const { source } = sourceOf(async () => ({ passwordHash, labels: {} }))
  expect(await source.authenticate('u', 'secret')).toBe('wrong-password')
  expect(await source.find?.('u')).toBeUndefined()
})

test('without an account or a password the database is not asked', async () => {
  const { source, asked } = sourceOf(async () => ({ passwordHash: HASH_123, labels: {} }))
  expect(await source.authenticate('', '123')).toBe('no-match')
  expect(await source.authenticate('u', '')).toBe('no-match')
  expect(await source.find?.('')).toBeUndefined()
  expect(asked).toEqual([])
})

test('what the database says goes to the log only', async () => {
  const cause = new Error("Access denied for user 'berth'@'db'")
  const { source } = sourceOf(async () => {
    throw cause
  })
  for (const answer of [source.authenticate('u', '123'), source.find?.('u') ?? Promise.resolve()]) {
    const error = await failure(answer)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ message: 'the database of users does not answer', cause })
  }
})

test('it gives back its connections', async () => {
  const { source, asked } = sourceOf(async () => undefined)
  await source.close?.()
  expect(asked).toEqual(['close'])
})
