import { describe, expect, test } from 'bun:test'
import type { TokenRow } from '../metadata/metadata.ts'
import { type Authenticator, type Known, type Outcome, UnavailableError } from './authenticator.ts'
import { createChain } from './chain.ts'
import { createPasswords } from './password.ts'

const passwords = createPasswords({ now: () => 0, verify: async () => false })
const yes = { kind: 'yes', labels: {} } as const

interface Fake extends Authenticator {
  asked: string[]
}

function source(name: string, outcome: Outcome | Error, known?: Known | Error): Fake {
  const asked: string[] = []
  const say = <T>(answer: T | Error): T => {
    if (answer instanceof Error) throw answer
    return answer
  }
  return {
    name,
    asked,
    authenticate: async (account) => {
      asked.push(account)
      return say(outcome)
    },
    ...(known === undefined ? {} : { find: async () => say(known) }),
  }
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => value,
    (error: unknown) => error,
  )
}

const down = new UnavailableError('bad return code from command: 3')

describe('a chain', () => {
  test('C1: stops at the first source that knows the user, even with a wrong password', async () => {
    const second = source('b', yes)
    const chain = createChain([source('a', 'wrong-password'), second], passwords)
    expect(await chain.authenticate('admin', 'x')).toBe('wrong-password')
    expect(second.asked).toEqual([])
  })

  test('C2: asks the next source for a user that the first does not know, and says which it was', async () => {
    const chain = createChain([source('a', 'no-match'), source('b', yes)], passwords)
    expect(await chain.authenticate('zed', 'x')).toEqual({ ...yes, source: 'b' })
  })

  test.each([
    ['C3, C4: nobody else knows the user', 'no-match'],
    ['a later source refuses the password, which the one that is down may take', 'wrong-password'],
  ] as const)('a source that cannot answer is named by its number when %s', async (_, last) => {
    const chain = createChain([source('a', 'no-match'), source('b', down), source('c', last)], passwords)
    const error = await failure(chain.authenticate('zed', 'x'))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ message: 'authn #2 returned error: bad return code from command: 3' })
  })

  test('a source that cannot answer does not shut out the users of a later one', async () => {
    const chain = createChain([source('a', down), source('b', yes)], passwords)
    expect(await chain.authenticate('zed', 'x')).toEqual({ ...yes, source: 'b' })
  })

  test('an unexpected error does not show its text', async () => {
    const chain = createChain([source('a', new Error('password hunter2 in /etc'))], passwords)
    const error = await failure(chain.authenticate('zed', 'x'))
    expect(error).toMatchObject({ message: 'authn #1 returned error: internal error' })
  })
})

const SECRET = 'secret-of-ann'
const row: TokenRow = {
  id: 't1',
  hash: '',
  kind: 'personal',
  source: 'ldap',
  account: 'ann',
  name: 'laptop',
  limits: [{ type: 'repository', name: 'a', actions: ['pull'] }],
  stamp: undefined,
  createdAt: 0,
  expiresAt: undefined,
  lastUsedAt: undefined,
  lastUsedFrom: undefined,
}
const ann: Known = { labels: { group: ['dev'] }, stamp: 's1' }

function chainWith(sources: readonly Authenticator[], found: Partial<TokenRow> | 'unknown' = {}) {
  const checks: [string, string | undefined][] = []
  const chain = createChain(sources, passwords, {
    isToken: (text) => text.startsWith('secret-of-'),
    check: async (secret, from) => {
      checks.push([secret, from])
      return secret === SECRET && found !== 'unknown' ? { ...row, ...found } : undefined
    },
  })
  return { chain, checks }
}

describe('a token in place of the password', () => {
  test('lets its owner in with the labels of now and the limits of the token', async () => {
    const ldap = source('ldap', 'wrong-password', ann)
    const { chain, checks } = chainWith([source('static', 'no-match'), ldap])
    expect(await chain.authenticate('ann', SECRET, '10.0.0.1')).toEqual({
      kind: 'yes',
      labels: { group: ['dev'] },
      source: 'ldap',
      token: 't1',
      limits: row.limits ?? [],
    })
    expect(checks).toEqual([[SECRET, '10.0.0.1']])
    expect(ldap.asked).toEqual([])
  })

  test.each([
    ['of somebody else', 'bob', {}, [source('ldap', 'wrong-password', ann)]],
    ['that is a refresh token', 'ann', { kind: 'refresh' }, [source('ldap', 'wrong-password', ann)]],
    ['made for the account of another source', 'ann', { source: 'github' }, [source('ldap', 'wrong-password', ann)]],
    [
      'whose name an earlier source has now',
      'ann',
      {},
      [source('static', 'wrong-password', ann), source('ldap', yes, ann)],
    ],
    [
      'whose name an earlier source refuses with this password',
      'ann',
      {},
      [source('ext_auth', 'wrong-password'), source('ldap', yes, ann)],
    ],
    ['whose owner is gone', 'ann', {}, [source('ldap', 'no-match')]],
    ['made before the password changed', 'ann', { stamp: 'old' }, [source('ldap', 'wrong-password', ann)]],
    ['that is not known', 'ann', 'unknown', [source('ldap', 'wrong-password', ann)]],
  ] as const)('lets nobody in when it is one %s', async (_, account, found, sources) => {
    const { chain } = chainWith(sources, found as Partial<TokenRow> | 'unknown')
    expect(typeof (await chain.authenticate(account, SECRET))).toBe('string')
  })

  test('is a password like any other to an earlier source that tells nothing without one', async () => {
    const { chain } = chainWith([source('ext_auth', yes), source('ldap', yes, ann)])
    expect(await chain.authenticate('ann', SECRET)).toEqual({ ...yes, source: 'ext_auth' })
  })

  test('holds where an earlier source that tells nothing without a password does not know the name', async () => {
    const program = source('ext_auth', 'no-match')
    const { chain } = chainWith([program, source('ldap', 'wrong-password', ann)])
    expect(await chain.authenticate('ann', SECRET)).toMatchObject({ kind: 'yes', source: 'ldap' })
    expect(program.asked).toEqual(['ann'])
  })

  test('that has the stamp of the account still holds', async () => {
    const { chain } = chainWith([source('ldap', 'wrong-password', ann)], { stamp: 's1', limits: undefined })
    const outcome = await chain.authenticate('ann', SECRET)
    expect(outcome).toEqual({ kind: 'yes', labels: { group: ['dev'] }, source: 'ldap', token: 't1' })
  })

  test('cannot be judged while the source of its owner is down', async () => {
    const { chain } = chainWith([source('ldap', 'no-match', down)])
    const error = await failure(chain.authenticate('ann', SECRET))
    expect(error).toMatchObject({ message: 'authn #1 returned error: bad return code from command: 3' })
  })

  test('costs no look-up when it does not look like one', async () => {
    const { chain, checks } = chainWith([source('ldap', yes, ann)])
    expect(await chain.authenticate('ann', 'plain')).toEqual({ ...yes, source: 'ldap' })
    expect(checks).toEqual([])
  })
})
