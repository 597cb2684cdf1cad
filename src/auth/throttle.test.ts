import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Attempt, type AttemptOutcome, createThrottle, type ThrottleOptions } from './throttle.ts'

const MINUTE = 60_000
const HOME = '192.0.2.1'
const AWAY = '198.51.100.9'

function setup(options: Partial<ThrottleOptions> = {}) {
  const clock = { time: 1_000_000_000_000 }
  const throttle = createThrottle({
    now: () => clock.time,
    perAccount: 3,
    perAddress: 10,
    windowMs: 15 * MINUTE,
    ...options,
  })
  /** One attempt, to its end: 0 when it was allowed, else the wait. */
  const attempt = (account: string, address: string | undefined, outcome: AttemptOutcome = 'wrong') => {
    const one = throttle.begin(account, address)
    if (!one.allowed) return one.retryAfterMs
    one.done(outcome)
    return 0
  }
  const times = <T>(count: number, action: (n: number) => T) => Array.from({ length: count }, (_, n) => action(n))
  return { clock, throttle, attempt, times }
}

describe('failed logins', () => {
  test('are free at first, then each waits twice as long, up to the window', () => {
    const { clock, attempt, times } = setup()
    expect(times(3, () => attempt('ann', HOME))).toEqual([0, 0, 0])
    const waits: number[] = []
    for (let n = 0; n < 9; n++) {
      const wait = attempt('ann', HOME)
      waits.push(wait)
      clock.time += wait - 1
      expect(attempt('ann', HOME)).toBe(1)
      clock.time++
      expect(attempt('ann', HOME)).toBe(0)
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000])
    // Then the free ones leave the window.
    expect(attempt('ann', HOME)).toBe(512000)
    clock.time += 15 * MINUTE - 511_000
    expect(attempt('ann', HOME)).toBe(0)
  })

  test('wait for no longer than the window', () => {
    const { clock, attempt, times } = setup({ windowMs: 5000 })
    times(3, () => attempt('ann', HOME))
    for (const wait of [1000, 2000]) {
      expect(attempt('ann', HOME)).toBe(wait)
      clock.time += wait
      expect(attempt('ann', HOME)).toBe(0)
    }
    expect(attempt('ann', HOME)).toBe(4000)
    const none = setup({ perAccount: 0, windowMs: 1500 })
    expect(none.attempt('ann', HOME)).toBe(0)
    expect(none.attempt('ann', HOME)).toBe(1500)
  })

  test('from one address leave the account usable from another', () => {
    const { attempt, times } = setup()
    times(5, () => attempt('ann', HOME))
    expect(attempt('ann', HOME)).toBeGreaterThan(0)
    expect(attempt('ann', AWAY, 'right')).toBe(0)
  })

  test('of many accounts slow their address down, and no other', () => {
    const { attempt, times } = setup()
    expect(times(10, (n) => attempt(`user${n}`, HOME))).toEqual(Array(10).fill(0))
    expect(attempt('ann', HOME)).toBe(1000)
    expect(attempt('ann', AWAY)).toBe(0)
  })

  test('are forgiven by a success for the account, and not for the address', () => {
    const { clock, attempt, times } = setup()
    times(2, () => attempt('ann', HOME))
    attempt('ann', HOME, 'right')
    expect(times(3, () => attempt('ann', HOME))).toEqual([0, 0, 0])
    expect(attempt('ann', HOME)).toBe(1000)
    times(5, (n) => attempt(`user${n}`, HOME))
    expect(attempt('bob', HOME)).toBe(1000)
    clock.time += 1000
    expect(attempt('bob', HOME, 'right')).toBe(0)
    // The success itself costs the address nothing, and forgives it nothing.
    expect(attempt('bob', HOME)).toBe(0)
    expect(attempt('bob', HOME)).toBe(2000)
  })

  test('are forgotten after the window', () => {
    const { clock, attempt, times } = setup()
    times(3, () => attempt('ann', HOME))
    clock.time += 15 * MINUTE - 1
    expect(attempt('ann', HOME)).toBe(0)
    expect(attempt('ann', HOME)).toBe(2000)
    clock.time++
    expect(attempt('ann', HOME)).toBe(0)
  })

  test('without an address count for the account alone', () => {
    const { attempt, times } = setup()
    times(3, () => attempt('ann', undefined))
    expect(attempt('ann', undefined)).toBe(1000)
    expect(times(50, (n) => attempt(`user${n}`, undefined))).toEqual(Array(50).fill(0))
    expect(attempt('ann', HOME)).toBe(0)
  })

  test('that could not be found out are neither', () => {
    const { attempt, times } = setup()
    times(2, () => attempt('ann', HOME))
    expect(times(30, () => attempt('ann', HOME, 'unknown'))).toEqual(Array(30).fill(0))
    expect([attempt('ann', HOME), attempt('ann', HOME)]).toEqual([0, 1000])
  })

  test.each([
    ['of one /64', '2001:db8::1', '2001:db8::ffff:1', true],
    ['of two /64', '2001:db8::1', '2001:db8:0:1::1', false],
    ['IPv4, bare and in IPv6', '192.0.2.1', '::ffff:192.0.2.1', true],
    ['IPv4, with another port', '192.0.2.1:5', '192.0.2.1:6', true],
    ['IPv4 neighbours', '192.0.2.1', '192.0.2.2', false],
    ['that are none', 'unknown', 'elsewhere', false],
  ])('from addresses %s', (_, one, other, together) => {
    const { attempt, times } = setup()
    times(3, () => attempt('ann', one))
    expect(attempt('ann', other) > 0).toBe(together)
  })

  test('of one name in several spellings count together', () => {
    const { attempt } = setup()
    expect(['ann', 'Ann', 'ANN', 'aNN'].map((account) => attempt(account, HOME))).toEqual([0, 0, 0, 1000])
  })

  test('of names that are long differ by their ends', () => {
    const { attempt, times } = setup()
    const long = 'x'.repeat(10_000)
    times(3, () => attempt(`${long}a`, HOME))
    expect(attempt(`${long}a`, HOME)).toBe(1000)
    expect(attempt(`${long}b`, HOME)).toBe(0)
  })

  test('an attempt that nobody ended is one, and one that was ended twice is one', () => {
    const { throttle, attempt } = setup()
    throttle.begin('ann', HOME)
    const twice = throttle.begin('ann', HOME)
    if (!twice.allowed) throw new Error('refused')
    twice.done('wrong')
    twice.done('right')
    expect(attempt('ann', HOME)).toBe(0)
    expect(attempt('ann', HOME)).toBe(1000)
  })

  test('a clock that is set back makes nobody wait longer than before', () => {
    const { clock, attempt, times } = setup()
    times(3, () => attempt('ann', HOME))
    clock.time -= 3_600_000
    expect(attempt('ann', HOME)).toBe(1000)
  })

  test('the wait ends after a clock was set back, however far', () => {
    const { clock, throttle, attempt, times } = setup()
    times(3, () => attempt('ann', HOME))
    clock.time -= 365 * 24 * 60 * MINUTE
    expect(throttle.mustWait('ann', HOME)).toBe(true)
    const wait = attempt('ann', HOME)
    expect(wait).toBe(1000)
    clock.time += wait
    expect(throttle.mustWait('ann', HOME)).toBe(false)
    expect(attempt('ann', HOME, 'right')).toBe(0)
  })

  test('of invented names do not make others’ forgotten', () => {
    const { attempt, times } = setup({ max: 50 })
    times(3, () => attempt('ann', HOME))
    times(500, (n) => attempt(`user${n}`, AWAY))
    times(500, (n) => attempt(`user${n}`, undefined))
    expect(attempt('ann', HOME)).toBe(1000)
  })
})

describe('attempts at once', () => {
  const flood = (throttle: ReturnType<typeof setup>['throttle'], count: number) =>
    Array.from({ length: count }, () => throttle.begin('ann', HOME)).filter(({ allowed }) => allowed).length

  test('get no more tries than one after the other', () => {
    const { throttle, clock } = setup()
    expect(flood(throttle, 100)).toBe(3)
    clock.time += 1000
    expect(flood(throttle, 100)).toBe(1)
  })

  /** Enters many times, and ends each attempt that was let in, some turns later. */
  async function crowd(outcome: AttemptOutcome, count: number) {
    const { throttle } = setup()
    let active = 0
    let most = 0
    const results = await Promise.all(
      Array.from({ length: count }, async () => {
        const attempt = await throttle.enter('ann', HOME)
        if (!attempt.allowed) return 'refused'
        active++
        most = Math.max(most, active)
        for (let turn = 0; turn < 5; turn++) await Promise.resolve()
        active--
        attempt.done(outcome)
        return 'let in'
      }),
    )
    return { in: results.filter((result) => result === 'let in').length, most }
  }

  test('that may wait are all let in with the right password, and with a wrong one no more than else', async () => {
    expect((await crowd('right', 20)).in).toBe(20)
    expect(await crowd('wrong', 100)).toEqual({ in: 3, most: 3 })
    expect((await crowd('unknown', 20)).in).toBe(20)
  })

  test('that would wait behind too many are refused', async () => {
    const { throttle } = setup()
    const first = await Promise.all(Array.from({ length: 3 }, () => throttle.enter('ann', HOME)))
    const others = Array.from({ length: 150 }, () => throttle.enter('ann', HOME))
    const refused = await Promise.all(others.slice(100))
    expect(refused).toEqual(Array(50).fill({ allowed: false, retryAfterMs: 1000 }))
    for (const attempt of first) if (attempt.allowed) attempt.done('wrong')
    expect((await Promise.all(others)).every(({ allowed }) => !allowed)).toBe(true)
  })
})

/** What it should do, from the whole history: slow, and without any table. */
interface Past {
  account: string
  address: string | undefined
  at: number
  state: 'flying' | AttemptOutcome
  forgiven: boolean
}

const OPTIONS = { perAccount: 2, perAddress: 4, windowMs: 60_000 }

function expectedWait(past: readonly Past[], account: string, address: string | undefined, time: number): number {
  const recent = past.filter(
    ({ at, state }) => time - at < OPTIONS.windowMs && (state === 'flying' || state === 'wrong'),
  )
  const pair = recent.filter((one) => one.account === account && one.address === address && !one.forgiven)
  const all = address === undefined ? [] : recent.filter((one) => one.address === address)
  const waits = [
    { failures: pair, free: OPTIONS.perAccount },
    { failures: all, free: OPTIONS.perAddress },
  ].map(({ failures, free }) => {
    if (failures.length < free) return 0
    const wait = Math.min(1000 * 2 ** (failures.length - free), OPTIONS.windowMs)
    return Math.max(0, Math.max(...failures.map(({ at }) => at)) + wait - time)
  })
  return Math.max(...waits)
}

const account = fc.constantFrom('ann', 'bob', 'eve')
const address = fc.constantFrom(HOME, AWAY, undefined)
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('begin' as const), account, address }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('done' as const),
        which: fc.nat(20),
        outcome: fc.constantFrom<AttemptOutcome[]>('wrong', 'wrong', 'right', 'unknown'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        ms: fc.constantFrom(1, 999, 1000, 5000, 31_000, 60_000),
      }),
    },
  ),
  { minLength: 20, maxLength: 80 },
)

test('whatever happens, in whatever order, it answers as the whole history would have it', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const { throttle, clock } = setup(OPTIONS)
      const past: Past[] = []
      const begun: { attempt: Extract<Attempt, { allowed: true }>; record: Past }[] = []
      for (const step of list) {
        if (step.kind === 'wait') clock.time += step.ms
        else if (step.kind === 'begin') {
          const wait = expectedWait(past, step.account, step.address, clock.time)
          const attempt = throttle.begin(step.account, step.address)
          if (!attempt.allowed) expect(attempt.retryAfterMs).toBe(wait)
          else {
            expect(wait).toBe(0)
            const record: Past = { ...step, at: clock.time, state: 'flying', forgiven: false }
            past.push(record)
            begun.push({ attempt, record })
          }
        } else {
          const one = begun[step.which % Math.max(1, begun.length)]
          if (one === undefined) continue
          one.attempt.done(step.outcome)
          if (one.record.state !== 'flying') continue
          one.record.state = step.outcome
          if (step.outcome !== 'right') continue
          for (const other of past) {
            const same = other.account === one.record.account && other.address === one.record.address
            if (same && other.state === 'wrong') other.forgiven = true
          }
        }
      }
    }),
    { numRuns: 1000, seed: 20_260_101 },
  )
})
