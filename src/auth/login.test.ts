import { describe, expect, test } from 'bun:test'
import { HASH_123 } from './authenticator.suite.ts'
import { type Outcome, UnavailableError } from './authenticator.ts'
import { createChain } from './chain.ts'
import { createLogin, ThrottledError } from './login.ts'
import { createPasswords } from './password.ts'
import { createStaticAuthenticator } from './static.ts'
import { createThrottle } from './throttle.ts'

function setup() {
  let time = 1_000_000
  let verifications = 0
  let guesses = 0
  const now = () => time
  const passwords = createPasswords({
    now,
    verify: async (password, hash) => {
      verifications++
      return await Bun.password.verify(password, hash)
    },
  })
  let down = false
  const users = { test: { passwordHash: HASH_123, labels: {} } }
  const source = createStaticAuthenticator({ users, passwords })
  const shaky = {
    name: 'static',
    authenticate: async (account: string, password: string): Promise<Outcome> => {
      if (down) throw new UnavailableError('down')
      return await source.authenticate(account, password)
    },
  }
  const throttle = createThrottle({ now, perAccount: 3, perAddress: 8, windowMs: 300_000 })
  const login = createLogin({ chain: createChain([shaky], passwords), passwords, throttle, now })
  const ask = async (account: string, password: string, address = '10.0.0.1'): Promise<string> => {
    try {
      const outcome = await login(account, password, address === 'none' ? undefined : address)
      return typeof outcome === 'object' ? outcome.kind : outcome
    } catch (error) {
      return error instanceof ThrottledError ? `wait ${error.seconds}` : String(error)
    }
  }
  /** That many guesses, each another one. */
  const times = async (count: number, account: string, password: string, address?: string) => {
    for (let i = 0; i < count; i++) await ask(account, `${password} ${guesses++}`, address)
  }
  return {
    ask,
    times,
    pass: (ms: number) => {
      time += ms
    },
    goDown: (is: boolean) => {
      down = is
    },
    verifications: () => verifications,
    reconsider: passwords.reconsider,
  }
}

describe('a login', () => {
  test('that fails too often must wait, longer each time, and is not even looked at', async () => {
    const { ask, times, pass, verifications } = setup()
    await times(3, 'test', 'guess')
    const before = verifications()
    expect(await ask('test', '123')).toBe('wait 1')
    expect(verifications()).toBe(before)
    pass(1000)
    expect(await ask('test', 'another guess')).toBe('wrong-password')
    pass(1000)
    expect(await ask('test', '123')).toBe('wait 1')
    pass(1000)
    expect(await ask('test', '123')).toBe('yes')
  })

  test('is free again for the owner from another address', async () => {
    const { ask, times } = setup()
    await times(6, 'test', 'guess', '10.0.0.1')
    expect(await ask('test', '123', '10.0.0.2')).toBe('yes')
  })

  test('whose password was right a moment ago passes, whatever comes from its address', async () => {
    const { ask, times } = setup()
    expect(await ask('test', '123')).toBe('yes')
    await times(20, 'other', 'guess')
    await times(20, 'test', 'guess')
    expect(await ask('test', '123')).toBe('yes')
    expect(await ask('test', '124')).toStartWith('wait ')
  })

  test('does not tell whoever guesses from the same address, however often, what was right a moment ago', async () => {
    const { ask, times } = setup()
    expect(await ask('test', '123')).toBe('yes')
    await times(40, 'test', 'guess')
    expect(await ask('test', '123')).toStartWith('wait ')
    expect(await ask('test', '123', '10.0.0.2')).toBe('yes')
  })

  test('of many names from one address must wait, too', async () => {
    const { ask } = setup()
    for (let i = 0; i < 8; i++) expect(await ask(`name${i}`, 'x')).toBe('no-match')
    expect(await ask('fresh', 'x')).toBe('wait 1')
    expect(await ask('fresh', 'x', '10.0.0.9')).toBe('no-match')
  })

  test('in parallel gets no more tries than one by one', async () => {
    const { ask, verifications } = setup()
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask('test', `guess ${i}`)))
    expect(answers.filter((answer) => answer === 'wrong-password')).toHaveLength(3)
    expect(verifications()).toBe(3)
  })

  test('that could not be judged is no failure', async () => {
    const { ask, goDown } = setup()
    goDown(true)
    for (let i = 0; i < 10; i++) await ask('test', '123')
    goDown(false)
    expect(await ask('test', '123')).toBe('yes')
  })

  test('without an address counts by account', async () => {
    const { ask, times } = setup()
    await times(20, 'test', 'guess', 'none')
    expect(await ask('test', '123', 'none')).toStartWith('wait ')
    expect(await ask('someone', 'x', 'none')).toBe('no-match')
  })

  test('with the same wrong password again and again is one guess, and its owner is not kept waiting', async () => {
    const { ask, pass, verifications } = setup()
    for (let i = 0; i < 50; i++) {
      expect(await ask('test', 'old password')).toBe('wrong-password')
      pass(1000)
    }
    expect(verifications()).toBe(5)
    expect(await ask('test', '123')).toBe('yes')
  })

  test('with a password that was wrong a while ago is looked at again', async () => {
    const { ask, pass, verifications, reconsider } = setup()
    await ask('test', 'soon right')
    const before = verifications()
    await ask('test', 'soon right')
    expect(verifications()).toBe(before)
    pass(10_000)
    await Promise.all([ask('test', 'soon right'), ask('test', 'soon right'), ask('test', 'soon right')])
    expect(verifications()).toBe(before + 1)
    reconsider()
    await ask('test', 'soon right')
    expect(verifications()).toBe(before + 2)
  })

  test('of nobody is none', async () => {
    const { ask, verifications } = setup()
    for (let i = 0; i < 20; i++) expect(await ask('', '')).toBe('no-match')
    expect(verifications()).toBe(0)
  })
})

test('a wrong password is asked about again after the clock was set back', async () => {
  const { ask, pass, verifications } = setup()
  expect(await ask('test', 'guess')).toBe('wrong-password')
  const before = verifications()
  pass(-900_000)
  expect(await ask('test', 'guess')).toBe('wrong-password')
  expect(verifications()).toBe(before + 1)
})
