import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createRation } from './ration.ts'

function setup(options: { max?: number } = {}) {
  const clock = { time: 1_000_000 }
  const ration = createRation({
    now: () => clock.time,
    each: { burst: 3, everyMs: 1000 },
    all: { burst: 5, everyMs: 100 },
    ...options,
  })
  const taken = (key: string, times: number) => Array.from({ length: times }, () => ration.take(key)).filter(Boolean)
  return { clock, take: (key: string, times: number) => taken(key, times).length }
}

describe('a ration', () => {
  test('gives each key its burst, and one more in each interval', () => {
    const { clock, take } = setup()
    expect(take('a', 10)).toBe(3)
    clock.time += 999
    expect(take('a', 10)).toBe(0)
    clock.time += 1
    expect(take('a', 10)).toBe(1)
    clock.time += 3_600_000
    expect(take('a', 10)).toBe(3)
  })

  test('gives all keys together no more than their own burst', () => {
    const { clock, take } = setup()
    expect([take('a', 3), take('b', 3), take('c', 3)]).toEqual([3, 2, 0])
    clock.time += 200
    expect(take('c', 3)).toBe(2)
  })

  test('a key that has none left costs the others nothing', () => {
    const { take } = setup()
    take('a', 1000)
    expect(take('b', 3)).toBe(2)
  })

  test('a clock that was set back gives nothing', () => {
    const { clock, take } = setup()
    take('a', 3)
    clock.time -= 3_600_000
    expect(take('a', 3)).toBe(0)
    clock.time += 1000
    expect(take('a', 3)).toBe(1)
  })

  test('keys that are invented to be forgotten come up against the allowance of all', () => {
    const { take } = setup({ max: 2 })
    let given = 0
    for (let i = 0; i < 1000; i++) given += take(`${i}`, 1)
    expect(given).toBe(5)
  })

  test('never gives more than the burst and the time allow', () => {
    const step = fc.record({ wait: fc.nat(500), key: fc.constantFrom('a', 'b', 'c') })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { clock, take } = setup()
        const from = clock.time
        const given = new Map<string, number>()
        for (const { wait, key } of steps) {
          clock.time += wait
          given.set(key, (given.get(key) ?? 0) + take(key, 1))
        }
        const passed = clock.time - from
        for (const count of given.values()) expect(count).toBeLessThanOrEqual(3 + passed / 1000)
        expect([...given.values()].reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(5 + passed / 100)
      }),
      { seed: 20_260_101 },
    )
  })
})
