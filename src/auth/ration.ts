import { LRUCache } from 'lru-cache'

/** So many at once, and one more in each `everyMs` milliseconds. */
export interface Allowance {
  burst: number
  everyMs: number
}

export interface Ration {
  /** Whether there is one left for the key, which it then costs. */
  take(key: string): boolean
}

interface Bucket {
  left: number
  /** Milliseconds since the epoch. */
  at: number
}

/**
 * Shares out what must not come without bound: to each key its own allowance, and to all together one. The `max` keys
 * that came last are remembered (default 10,000); whoever invents more of them is held by the allowance of all.
 */
export function createRation(options: { now: () => number; each: Allowance; all: Allowance; max?: number }): Ration {
  const { now, each, all, max = 10_000 } = options
  const buckets = new LRUCache<string, Bucket>({ max })
  const whole: Bucket = { left: all.burst, at: now() }

  return {
    take(key) {
      const time = now()
      let own = buckets.get(key)
      if (own === undefined) {
        own = { left: each.burst, at: time }
        buckets.set(key, own)
      }
      refill(own, each, time)
      refill(whole, all, time)
      // Whoever has none left takes nothing from the others.
      if (own.left < 1 || whole.left < 1) return false
      own.left--
      whole.left--
      return true
    },
  }
}

function refill(bucket: Bucket, { burst, everyMs }: Allowance, time: number): void {
  // A clock that was set back gives nothing, and takes nothing away.
  bucket.left = Math.min(burst, bucket.left + Math.max(0, time - bucket.at) / everyMs)
  bucket.at = time
}
