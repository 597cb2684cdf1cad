import { describe, expect, test } from 'bun:test'
import { isAccountName, reasonOf, SignInError } from './sign-in.ts'
import { createPendingSignIns, PENDING_MS } from './sign-in-pending.ts'
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

describe('sign-ins under way', () => {
  const entry = (state: string, browser = 'b') =>
    ({ kind: 'github', state, browser, nonce: 'n', codeVerifier: 'v', redirectUri: 'r' }) as const

  test('are taken once, by their browser, at their provider', () => {
    const pending = createPendingSignIns({ now: () => 0 })
    pending.add(entry('s'))
    expect(pending.take({ kind: 'github', state: 's', browser: 'other' })).toBeUndefined()
    expect(pending.take({ kind: 'gitlab', state: 's', browser: 'b' })).toBeUndefined()
    expect(pending.take({ kind: 'github', state: 't', browser: 'b' })).toBeUndefined()
    expect(pending.take({ kind: 'github', state: 's', browser: 'b' })).toEqual(entry('s'))
    expect(pending.take({ kind: 'github', state: 's', browser: 'b' })).toBeUndefined()
  })

  test('end after ten minutes', () => {
    let now = 0
    const pending = createPendingSignIns({ now: () => now })
    pending.add(entry('s'))
    pending.add(entry('t'))
    now = PENDING_MS - 1
    expect(pending.take(entry('s'))).toBeDefined()
    now = PENDING_MS
    expect(pending.take(entry('t'))).toBeUndefined()
  })

  test('are bounded: the oldest goes', () => {
    const pending = createPendingSignIns({ now: () => 0, max: 2 })
    for (const state of ['1', '2', '3']) pending.add(entry(state))
    expect(['1', '2', '3'].map((state) => pending.take(entry(state)) !== undefined)).toEqual([false, true, true])
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
