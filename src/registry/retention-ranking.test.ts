import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createIdSet } from './id-set.ts'
import { createRanking } from './retention-ranking.ts'

describe('a ranking', () => {
  const seen = fc.array(
    fc.record({ id: fc.constantFrom(...'abcdefghij'), time: fc.nat(6), name: fc.constantFrom(...'klmnop') }),
    {
      maxLength: 120,
    },
  )
  const order = (a: { time: number; name: string }, b: { time: number; name: string }) =>
    a.time - b.time || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

  test.each(['newest', 'oldest'] as const)('has the %s, as a sort of everything has them', (which) => {
    fc.assert(
      fc.property(seen, fc.integer({ min: 1, max: 12 }), (all, size) => {
        // Names are the ids' own, so that no two stand at the same place.
        const named = all.map(({ id, time, name }) => ({ id, time, name: id + name }))
        const ranking = createRanking(size, which)
        for (const { id, time, name } of named) ranking.see(id, time, name)
        const best = new Map<string, { id: string; time: number; name: string }>()
        for (const each of named) {
          const known = best.get(each.id)
          const isBetter = known === undefined || (which === 'newest' ? order(each, known) > 0 : order(each, known) < 0)
          if (isBetter) best.set(each.id, each)
        }
        const sorted = [...best.values()].sort((a, b) => (which === 'newest' ? order(b, a) : order(a, b)))
        const expected = new Set(sorted.slice(0, size).map(({ id }) => id))
        for (const id of 'abcdefghij') expect(ranking.has(id)).toBe(expected.has(id))
      }),
      { seed: 20_260_101 },
    )
  })

  test('has them of many more than it can hold', () => {
    const ranking = createRanking(3, 'newest')
    for (let n = 0; n < 10_000; n++) ranking.see(`t${n}`, (n * 7919) % 10_007, `t${n}`)
    const among = Array.from({ length: 10_000 }, (_, n) => n).filter((n) => ranking.has(`t${n}`))
    expect(among.map((n) => (n * 7919) % 10_007).sort((a, b) => a - b)).toEqual([10_004, 10_005, 10_006])
  })
})

test('a set of ids is a set of numbers, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(50), fc.nat(100_000_000))), fc.nat(100_000_000), (ids, other) => {
      const set = createIdSet()
      for (const id of ids) set.add(id)
      const expected = new Set(ids)
      expect([...set]).toEqual([...expected].sort((a, b) => a - b))
      expect([set.size, set.has(other)]).toEqual([expected.size, expected.has(other)])
    }),
    { numRuns: 50, seed: 20_260_101 },
  )
})
