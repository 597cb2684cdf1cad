/** Ends work that somebody stopped. */
export class StoppedError extends Error {
  constructor() {
    super('stopped')
    this.name = 'StoppedError'
  }
}

/** Longest time for which whoever was slower than allowed may make up: 100 ms. */
const CREDIT = 100
/** Bytes that a read counts for at least: to find a small file costs the disk more than to read it. */
const LEAST = 16 * 1024

/**
 * Slows down whoever reads: each call waits until `count` bytes more are allowed. Undefined: there is no limit. Rejects with
 * StoppedError once the signal is aborted.
 */
export function createRate(
  bytesPerSecond: number | undefined,
  signal: AbortSignal,
  clock: { elapsed: () => number; sleep: (ms: number) => Promise<void> } = CLOCK,
): (count: number) => Promise<void> {
  let free = clock.elapsed()
  return async (count) => {
    if (signal.aborted) throw new StoppedError()
    if (bytesPerSecond === undefined) return
    const now = clock.elapsed()
    free = Math.max(free, now - CREDIT) + (Math.max(count, LEAST) / bytesPerSecond) * 1000
    for (let rest = free - now; rest > 0; rest -= LONGEST) {
      await clock.sleep(Math.min(rest, LONGEST))
      if (signal.aborted) throw new StoppedError()
    }
  }
}

/** Milliseconds after which a sleeper looks whether it is to stop. */
const LONGEST = 500

const CLOCK = { elapsed: () => performance.now(), sleep: (ms: number) => Bun.sleep(ms) }
