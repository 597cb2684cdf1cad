/**
 * The newest (or oldest) so many of what passes by, in memory for twice as many. Something that is seen several times stands
 * where its newest (oldest) time puts it. At the same moment, the later name in byte order counts as newer.
 */
export interface Ranking {
  see(id: string, time: number, name: string): void
  /** Whether it is among them, after everything was seen. */
  has(id: string): boolean
}

interface Place {
  time: number
  name: string
}

export function createRanking(size: number, which: 'newest' | 'oldest'): Ranking {
  const sign = which === 'newest' ? 1 : -1
  /** Positive: `a` comes before `b`. */
  const compare = (a: Place, b: Place): number => {
    if (a.time !== b.time) return sign * (a.time - b.time)
    return a.name === b.name ? 0 : sign * (a.name > b.name ? 1 : -1)
  }
  let places = new Map<string, Place>()
  /** The last of those that were left when some were dropped: what stands behind it cannot come back. */
  let bound: Place | undefined

  function cut(): void {
    if (places.size <= size) return
    const kept = [...places].sort(([, a], [, b]) => compare(b, a)).slice(0, size)
    bound = kept.at(-1)?.[1]
    places = new Map(kept)
  }

  return {
    see(id, time, name) {
      const place = { time, name }
      const known = places.get(id)
      if (known !== undefined ? compare(place, known) <= 0 : bound !== undefined && compare(place, bound) < 0) return
      places.set(id, place)
      if (places.size >= 2 * size + 16) cut()
    },
    has(id) {
      cut()
      return places.has(id)
    },
  }
}
