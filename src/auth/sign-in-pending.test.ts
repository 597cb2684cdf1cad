import { describe, expect, test } from 'bun:test'
import { createPendingSignIns, PENDING_MS } from './sign-in-pending.ts'

const signIn = (state = 's') =>
  ({
    kind: 'github',
    state,
    nonce: 'a nonce',
    codeVerifier: 'a verifier',
    redirectUri: 'https://reg.example/é',
  }) as const

describe('a sealed sign-in', () => {
  const pending = createPendingSignIns({ now: () => 0 })
  const sealed = pending.seal(signIn())

  test('opens for its provider and its state', () => {
    expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(pending.open({ kind: 'github', state: 's', sealed })).toEqual(signIn())
  })

  test.each([
    ['at another provider', 'gitlab', 's', sealed],
    ['for another state', 'github', 't', sealed],
    ['when it is empty', 'github', 's', ''],
    ['when it is short', 'github', 's', 'AAAA'],
    ['when its end is missing', 'github', 's', sealed.slice(0, -4)],
    ['when it is of another run of the server', 'github', 's', createPendingSignIns({ now: () => 0 }).seal(signIn())],
  ] as const)('does not open %s', (_, kind, state, text) => {
    expect(pending.open({ kind, state, sealed: text })).toBeUndefined()
  })

  test('does not open when any of its bytes is another', () => {
    const bytes = Buffer.from(sealed, 'base64url')
    for (const [i, byte] of bytes.entries()) {
      const changed = Buffer.from(bytes)
      changed[i] = byte ^ 1
      expect(pending.open({ kind: 'github', state: 's', sealed: changed.toString('base64url') })).toBeUndefined()
    }
  })

  test('shows nothing of what is in it, and no two begin alike', () => {
    const seals = Array.from({ length: 300 }, () => pending.seal(signIn()))
    expect(new Set(seals.map((text) => text.slice(0, 16))).size).toBe(300)
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toMatch(/nonce|verifier|reg\.example/)
  })

  test('ends after ten minutes', () => {
    const clock = { now: 0 }
    const timed = createPendingSignIns({ now: () => clock.now })
    const key = { ...signIn(), sealed: timed.seal(signIn()) }
    clock.now = PENDING_MS - 1
    expect(timed.open(key)).toEqual(signIn())
    clock.now = PENDING_MS
    expect(timed.open(key)).toBeUndefined()
  })
})

describe('a used state', () => {
  test('opens nothing, unless it is released', () => {
    const pending = createPendingSignIns({ now: () => 0 })
    const key = { ...signIn(), sealed: pending.seal(signIn()) }
    expect(pending.use('s')).toBe(true)
    expect(pending.open(key)).toBeUndefined()
    pending.release('s')
    expect(pending.open(key)).toEqual(signIn())
  })

  test('is remembered as long as it could open something, and none is forgotten for another', () => {
    const clock = { now: 0 }
    const pending = createPendingSignIns({ now: () => clock.now, maxUsed: 2 })
    expect([pending.use('1'), pending.use('2'), pending.use('3')]).toEqual([true, true, false])
    clock.now = PENDING_MS - 1
    const key = { ...signIn('1'), sealed: pending.seal(signIn('1')) }
    expect(pending.use('3')).toBe(false)
    expect(pending.open(key)).toBeUndefined()
    clock.now = PENDING_MS
    expect([pending.use('3'), pending.use('4'), pending.use('5')]).toEqual([true, true, false])
  })
})
