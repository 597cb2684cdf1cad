import { describe, expect, test } from 'bun:test'
import { HASH_123, HASH_BADMIN } from './authenticator.suite.ts'
import { UnavailableError } from './authenticator.ts'
import { createChain } from './chain.ts'
import { createPasswords, hashKind, hashPassword, type PasswordOptions } from './password.ts'

/** Verifications that end when the test says so. */
function controlled(options: Partial<PasswordOptions> = {}) {
  const calls: { password: string; hash: string; finish: (right: boolean) => void }[] = []
  let time = 0
  const passwords = createPasswords({
    now: () => time,
    ...options,
    verify: (password, hash) =>
      new Promise((finish) => calls.push({ password: Buffer.from(password).toString(), hash, finish })),
  })
  const ask = (account: string, password: string, hash: string | undefined = HASH_123) =>
    passwords.check({ source: 's', account, password, hash })
  return {
    calls,
    passwords,
    ask,
    advance: (ms: number) => {
      time += ms
    },
    finish: async (index: number, right: boolean) => {
      calls[index]?.finish(right)
      await Bun.sleep(0)
    },
  }
}

describe('verifications', () => {
  test('run two at a time, in the order they came', async () => {
    const { calls, ask, finish } = controlled()
    const answers = ['a', 'b', 'c', 'd'].map((account) => ask(account, `of ${account}`))
    await Bun.sleep(0)
    expect(calls.map(({ password }) => password)).toEqual(['of a', 'of b'])
    await finish(1, true)
    expect(calls.map(({ password }) => password)).toEqual(['of a', 'of b', 'of c'])
    await finish(0, false)
    await finish(2, true)
    await finish(3, false)
    expect(await Promise.all(answers)).toEqual([false, true, true, false])
  })

  test('past the end of the queue are refused, and a place that frees is used again', async () => {
    const { calls, ask, finish } = controlled({ concurrency: 1, queueLimit: 1 })
    const first = ask('a', '1')
    const second = ask('b', '2')
    await expect(ask('c', '3')).rejects.toBeInstanceOf(UnavailableError)
    await finish(0, true)
    const third = ask('d', '4')
    await finish(1, true)
    await finish(2, true)
    expect(await Promise.all([first, second, third])).toEqual([true, true, true])
    expect(calls).toHaveLength(3)
  })

  test('of the same question at the same time are one', async () => {
    const { calls, ask, finish } = controlled()
    const answers = [ask('a', 'x'), ask('a', 'x'), ask('a', 'x')]
    await Bun.sleep(0)
    expect(calls).toHaveLength(1)
    await finish(0, true)
    expect(await Promise.all(answers)).toEqual([true, true, true])
  })

  test('that throw are a no', async () => {
    const passwords = createPasswords({ now: () => 0, verify: () => Promise.reject(new Error('WeakParameters')) })
    expect(await passwords.check({ source: 's', account: 'a', password: 'x', hash: HASH_123 })).toBe(false)
  })
})

test('a verification that could not be made is no answer', async () => {
  const fault = new UnavailableError('the thread died')
  const passwords = createPasswords({ now: () => 0, verify: () => Promise.reject(fault) })
  const error = await passwords.check({ source: 's', account: 'a', password: 'x', hash: HASH_123 }).catch((e) => e)
  expect(error).toBe(fault)
})

describe('a remembered success', () => {
  async function remembered(options?: Partial<PasswordOptions>) {
    const made = controlled(options)
    const answer = made.ask('a', 'right')
    await made.finish(0, true)
    expect(await answer).toBe(true)
    return made
  }

  test('answers the same password at once', async () => {
    const { ask, calls } = await remembered()
    expect(await ask('a', 'right')).toBe(true)
    expect(calls).toHaveLength(1)
  })

  test.each([
    ['another password', 'a', 'Right', HASH_123],
    ['another account', 'b', 'right', HASH_123],
    ['a changed hash', 'a', 'right', HASH_BADMIN],
  ])('does not answer for %s', async (_, account, password, hash) => {
    const { ask, calls, finish } = await remembered()
    const answer = ask(account, password, hash)
    await finish(1, false)
    expect(await answer).toBe(false)
    expect(calls).toHaveLength(2)
  })

  test('does not answer after its time', async () => {
    const { ask, calls, finish, advance } = await remembered({ rememberMs: 1000 })
    advance(999)
    expect(await ask('a', 'right')).toBe(true)
    advance(1)
    const answer = ask('a', 'right')
    await finish(1, true)
    expect(await answer).toBe(true)
    expect(calls).toHaveLength(2)
  })

  test('does not answer after everything was forgotten, not even if it was under way then', async () => {
    const { ask, calls, finish, passwords } = await remembered()
    passwords.forget()
    const second = ask('a', 'right')
    await Bun.sleep(0)
    passwords.forget()
    await finish(1, true)
    expect(await second).toBe(true)
    const third = ask('a', 'right')
    await finish(2, true)
    expect(await third).toBe(true)
    expect(calls).toHaveLength(3)
  })

  test('is not made where none are wanted', async () => {
    const { ask, calls, finish } = await remembered({ rememberMs: 0 })
    const again = ask('a', 'right')
    await finish(1, true)
    await again
    expect(calls).toHaveLength(2)
  })
})

describe('an account that does not exist', () => {
  test('costs one verification of the hash that was last used, so that time tells nothing', async () => {
    const { passwords, calls, finish, ask } = controlled()
    const before = passwords.spend('guess')
    await finish(0, false)
    await before
    expect(hashKind(calls[0]?.hash ?? '')).toBe('bcrypt')
    const known = ask('a', 'x', HASH_BADMIN)
    await finish(1, true)
    await known
    const chain = createChain([{ name: 'none', authenticate: async () => 'no-match' }], passwords)
    const answer = chain.authenticate('nobody', 'guess')
    await Bun.sleep(0)
    await finish(2, true)
    expect(await answer).toBe('no-match')
    expect(calls[2]).toMatchObject({ password: 'guess', hash: HASH_BADMIN })
  })

  test('is really computed: the stand-in is a hash that can be verified', async () => {
    let hash = ''
    const passwords = createPasswords({
      now: () => 0,
      verify: async (_, used) => {
        hash = used
        return false
      },
    })
    await passwords.spend('x')
    expect(await Bun.password.verify('x', hash)).toBe(false)
  })
})

describe('what is remembered', () => {
  test('is known by the account alone, until it ends or all is forgotten', async () => {
    let time = 0
    const passwords = createPasswords({ now: () => time, rememberMs: 1000 })
    expect(passwords.isRemembered('test', '123')).toBe(false)
    await passwords.check({ source: 's', account: 'test', password: '123', hash: HASH_123 })
    expect(passwords.isRemembered('test', '123')).toBe(true)
    expect(passwords.isRemembered('test', '124')).toBe(false)
    expect(passwords.isRemembered('other', '123')).toBe(false)
    time = 1000
    expect(passwords.isRemembered('test', '123')).toBe(false)
    await passwords.check({ source: 's', account: 'test', password: '123', hash: HASH_123 })
    passwords.forget()
    expect(passwords.isRemembered('test', '123')).toBe(false)
  })
})

test('a hash that Berth makes is bcrypt, and verifies', async () => {
  const hash = await hashPassword('secret')
  expect(hashKind(hash)).toBe('bcrypt')
  expect(await Bun.password.verify('secret', hash)).toBe(true)
})

test('a success is remembered for no longer because the clock was set back', async () => {
  const { calls, ask, advance, finish } = controlled({ rememberMs: 1000 })
  const first = ask('a', 'x')
  await finish(0, true)
  expect(await first).toBe(true)
  expect(await ask('a', 'x')).toBe(true)
  expect(calls).toHaveLength(1)
  advance(-1_000_000)
  const later = ask('a', 'x')
  await finish(1, false)
  expect(await later).toBe(false)
  expect(calls).toHaveLength(2)
})
