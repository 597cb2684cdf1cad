/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** A whole number from 0 up to, and without, `limit`. */
  below(limit: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** A generator of its own, so that one party's draws do not depend on another's pace. */
  fork(name: string): Random
}

/** The 32-bit generator "mulberry32". */
export function createRandom(seed: string): Random {
  let state = Number(Bun.hash.crc32(seed)) >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (limit) => Math.floor(next() * limit),
    chance: (probability) => next() < probability,
    pick(items) {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
    fork: (name) => createRandom(`${seed}/${name}`),
  }
}

/** The seed of this run: BERTH_TEST_SEED, to see a failure again, or a new one. It is printed. */
export function seedOf(test: string): string {
  const seed = process.env.BERTH_TEST_SEED ?? crypto.randomUUID().slice(0, 8)
  console.log(`${test}: BERTH_TEST_SEED=${seed}`)
  return seed
}
