import { describe, expect, test } from 'bun:test'
import {
  createSignInFlow,
  isAccountName,
  reasonOf,
  SignInError,
  type SignInEvent,
  type SignInOptions,
  type SignInProvider,
} from './sign-in.ts'
import { isProtected } from './sign-in-upstream.ts'

describe('the name of an account', () => {
  test.each(['ann', 'ann@example.com', 'Ann Lee', 'é', '名前', 'a/b', 'x'.repeat(255)])('may be %p', (name) => {
    expect(isAccountName(name)).toBe(true)
  })
  test.each([
    ['empty', ''],
    ['with a colon', 'a:b'],
    ['with a line break', 'a\nb'],
    ['with a NUL', 'a\0b'],
    ['with a delete', 'a\x7f'],
    ['with an invisible space', 'a\u200bb'],
    ['with a change of direction', 'a\u202eb'],
    ['with space before it', ' a'],
    ['with space behind it', 'a\u00a0'],
    ['of half a character', '\ud800'],
    ['of more than 255 bytes', 'é'.repeat(128)],
  ])('cannot be %s', (_, name) => {
    expect(isAccountName(name)).toBe(false)
  })
})

/** A provider that knows every code but `junk`, and answers when `gate` does. */
function setup(more: { gate?: Promise<void>; conclude?: SignInOptions['accounts']['conclude'] } = {}) {
  const events: SignInEvent[] = []
  const clock = { now: 0 }
  const provider: SignInProvider = {
    kind: 'github',
    title: 'GitHub',
    redirectUri: undefined,
    registryUrl: undefined,
    tokenLifeMs: 1,
    authorizationUrl: async ({ state }) => `https://idp.example/?state=${state}`,
    async identify({ code }) {
      await more.gate
      if (code === 'junk') throw new SignInError('failed', 'no such code')
      return { account: 'ann', labels: {} }
    },
  }
  const flow = createSignInFlow({
    providers: [provider],
    accounts: { conclude: more.conclude ?? (async () => ({ token: 't', expiresAt: undefined })) },
    now: () => clock.now,
    record: (event) => events.push(event),
  })
  const begin = async () => await flow.begin(provider, 'https://reg.example/github_auth')
  /** The account, or the text of the error. */
  const finish = async (
    begun: { state: string; sealed: string | undefined },
    query: Record<string, string> = { code: 'good' },
    address?: string,
  ) => {
    const back = { sealed: begun.sealed, address, query: new URLSearchParams({ state: begun.state, ...query }) }
    return await flow.finish(provider, back).then(
      ({ account }) => account,
      (error: unknown) => (error instanceof SignInError ? `${error.kind}: ${error.message}` : error),
    )
  }
  return { begin, finish, events, clock }
}

const NOT_BEGUN = expect.stringContaining('bad-request: This sign-in was not begun in this browser')
const TOO_MANY = 'unavailable: Too many sign-ins at once. Please try again soon.'

describe('a sign-in', () => {
  test('goes on whatever number of others was begun after it', async () => {
    const { begin, finish } = setup()
    const first = await begin()
    for (let i = 0; i < 10_050; i++) await begin()
    expect(await finish(first)).toBe('ann')
  })

  test('succeeds once, and one that fails may be tried again', async () => {
    const { begin, finish } = setup()
    const begun = await begin()
    expect(await finish(begun, { code: 'junk' })).toBe('failed: no such code')
    expect(await finish(begun, { error: 'access_denied' })).toContain('GitHub did not sign you in: access_denied')
    expect(await finish(begun)).toBe('ann')
    expect(await finish(begun)).toEqual(NOT_BEGUN)
  })

  test('does not end twice at the same time', async () => {
    const gate = Promise.withResolvers<void>()
    const { begin, finish } = setup({ gate: gate.promise })
    const begun = await begin()
    const first = finish(begun)
    expect(await finish(begun)).toEqual(NOT_BEGUN)
    gate.resolve()
    expect(await first).toBe('ann')
  })

  test('whose account cannot be stored now may be tried again', async () => {
    let broken = true
    const { begin, finish } = setup({
      conclude: async () => {
        if (broken) throw new Error('disk')
        return { token: 't', expiresAt: undefined }
      },
    })
    const begun = await begin()
    expect(await finish(begun)).toBe('unavailable: The sign-in could not be finished: the account could not be stored.')
    broken = false
    expect(await finish(begun)).toBe('ann')
  })

  test('that nobody began is not recorded', async () => {
    const { begin, finish, events, clock } = setup()
    const { state, sealed } = await begin()
    for (const query of [{ code: 'x' }, { error: 'x' }]) {
      expect(await finish({ state, sealed: undefined }, query)).toEqual(NOT_BEGUN)
      expect(await finish({ state, sealed: 'AAAA' }, query)).toEqual(NOT_BEGUN)
      expect(await finish({ state: 'x', sealed }, query)).toEqual(NOT_BEGUN)
    }
    clock.now = 600_000
    expect(await finish({ state, sealed })).toEqual(NOT_BEGUN)
    expect(events).toEqual([])
  })

  test('that fails is recorded no more than thirty times a minute where it names nobody', async () => {
    const { begin, finish, events, clock } = setup()
    const begun = await begin()
    for (let i = 0; i < 50; i++) await finish(begun, { error: 'x' })
    expect(events.map(({ detail }) => detail)).toEqual(Array(30).fill('GitHub did not sign you in: x'))
    expect(await finish(begun)).toBe('ann')
    expect(events.at(-1)).toMatchObject({ outcome: 'done', account: 'ann', detail: '' })
    clock.now = 60_000
    const next = await begin()
    for (let i = 0; i < 2; i++) await finish(next, { error: 'x' })
    expect(events.slice(31).map(({ detail }) => detail)).toEqual([
      'GitHub did not sign you in: x (20 more before this were not recorded)',
      'GitHub did not sign you in: x',
    ])
  })

  test('that fails with a known account is always recorded', async () => {
    const { begin, finish, events } = setup({ conclude: async () => ({ refused: 'disabled' }) })
    const begun = await begin()
    for (let i = 0; i < 40; i++) await finish(begun)
    expect(events).toHaveLength(40)
    expect(events[39]).toMatchObject({ outcome: 'refused', account: 'ann' })
  })

  test('is not kept from its provider by the codes of one address', async () => {
    const gate = Promise.withResolvers<void>()
    const { begin, finish } = setup({ gate: gate.promise })
    const junk = await Promise.all(Array.from({ length: 40 }, begin))
    const strangers = junk.map((begun) => finish(begun, { code: 'junk' }, '192.0.2.1'))
    const begun = await begin()
    expect(await finish(begun, { code: 'good' }, '192.0.2.1')).toBe(TOO_MANY)
    const known = finish(begun, { code: 'good' }, '192.0.2.2')
    gate.resolve()
    expect(await known).toBe('ann')
    const texts = await Promise.all(strangers)
    expect(texts.filter((text) => text === 'failed: no such code')).toHaveLength(8)
    expect(texts.filter((text) => text === TOO_MANY)).toHaveLength(32)
  })

  test('is not kept from its end by those that failed', async () => {
    const { begin, finish } = setup()
    for (let i = 0; i < 10_050; i++) await finish(await begin(), { code: 'junk' })
    expect(await finish(await begin())).toBe('ann')
  })
})

test('a reason is one line of messages', () => {
  const error = new SignInError('failed', 'a', { cause: new Error('b\nc', { cause: { secret: 's' } }) })
  expect(reasonOf(error)).toBe('a: b c')
  expect(reasonOf('x')).toBe('unknown error')
})

test.each([
  ['https://x.example', true],
  ['http://localhost:5', true],
  ['http://127.0.0.2', true],
  ['http://[::1]:80', true],
  ['http://localhost.example', false],
  ['http://127.0.0.1.example', false],
  ['http://10.0.0.1', false],
  ['ftp://localhost', false],
])('secrets sent to %s are protected: %p', (url, expected) => {
  expect(isProtected(new URL(url))).toBe(expected)
})
