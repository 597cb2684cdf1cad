import type { Log } from '../telemetry/log.ts'

/** Tells a clock that goes from one that was set. */
export interface ClockGuard {
  /**
   * False where the time has gone on otherwise since the last question than a clock does: what is removed by its age would go by a
   * time that may be wrong, and could not be had back. The next question counts from now.
   */
  isSteady(): boolean
}

/** Milliseconds by which a clock may differ: daemons that keep the time step it by seconds. */
const TOLERANCE = 5 * 60_000
/**
 * Milliseconds after the last use of the data from which a start waits for one more look: a machine whose clock has no battery
 * starts at any time, and learns the right one from the network a moment later.
 */
const LONG_AGO = 24 * 3_600_000

export interface ClockGuardOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds of a clock that nobody sets. */
  elapsed?: () => number
  /** When the data was used last, in milliseconds since the epoch; undefined: it is new. */
  lastUse: number | undefined
  log: Log
}

export function createClockGuard(options: ClockGuardOptions): ClockGuard {
  const { now, elapsed = () => performance.now(), lastUse, log } = options
  let seen: { at: number; elapsed: number } | undefined

  function drift(at: number, passed: number): number {
    if (seen !== undefined) return at - seen.at - (passed - seen.elapsed)
    // What lies between two starts is anybody's guess; a long time, and a time before the last one, are worth a second look.
    const away = lastUse === undefined ? 0 : at - lastUse
    return away > LONG_AGO || away < -TOLERANCE ? away : 0
  }

  return {
    isSteady() {
      const [at, passed] = [now(), elapsed()]
      const jump = drift(at, passed)
      const isFirst = seen === undefined
      seen = { at, elapsed: passed }
      if (Math.abs(jump) <= TOLERANCE) return true
      const since = isFirst ? 'since the data was last used' : 'at once'
      const way = jump > 0 ? 'ahead' : 'back'
      const message = `the clock went ${way} by ${spanOf(Math.abs(jump))} ${since}: nothing is removed by its age until the next look`
      if (isFirst && jump > 0) log.info(message)
      else log.warn(message)
      return false
    },
  }
}

function spanOf(ms: number): string {
  const hours = Math.round(ms / 3_600_000)
  if (hours < 2) return `${Math.round(ms / 60_000)} minutes`
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`
}
