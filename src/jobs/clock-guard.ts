import { uptime } from 'node:os'
import type { Log } from '../telemetry/log.ts'

/** Tells a clock that goes from one that was set. */
export interface ClockGuard {
  /**
   * False where the time has gone on otherwise since the last question than a clock does, and for a while after it went ahead: what is
   * removed by its age would go by a time that may be wrong, and could not be had back.
   */
  isSteady(): boolean
}

/** Milliseconds by which a clock may differ: daemons that keep the time step it by seconds. */
const TOLERANCE = 5 * 60_000
/**
 * Milliseconds after the last use of the data from which a start waits: a machine whose clock has no battery starts at any time, and
 * learns the right one from the network a moment later.
 */
const LONG_AGO = 24 * 3_600_000
/** Milliseconds that such a start waits. Whoever runs a registry for some hours a week gets space back as well. */
const START_HOLD = 3_600_000
/** Milliseconds at most after a clock went ahead under a server, in which somebody will notice. A shorter jump is held as long as it is. */
const HOLD = 24 * 3_600_000

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
  const { now, elapsed = elapsedOfMachine, lastUse, log } = options
  let seen: { at: number; elapsed: number } | undefined
  /** By how much the clock shows more than it would, had it only gone on; 0 again once that has been taken for right. */
  let ahead = 0
  /** By `elapsed`. */
  let heldUntil: number | undefined

  function drift(at: number, passed: number): number {
    if (seen !== undefined) return at - seen.at - (passed - seen.elapsed)
    // What lies between two starts is anybody's guess; a long time, and a time before the last one, are worth a second look.
    const away = lastUse === undefined ? 0 : at - lastUse
    return away > LONG_AGO || away < -TOLERANCE ? away : 0
  }

  function tell(jump: number, hold: number, isFirst: boolean): void {
    const since = isFirst ? 'since the data was last used' : 'at once'
    const way = jump > 0 ? 'ahead' : 'back'
    const wait = hold === 0 ? 'until the next look' : `for ${spanOf(hold)}, unless it is set right before`
    const message = `the clock went ${way} by ${spanOf(Math.abs(jump))} ${since}: nothing is removed by its age ${wait}`
    if (isFirst && jump > 0) log.info(message)
    else log.warn(message)
  }

  return {
    isSteady() {
      const [at, passed] = [now(), elapsed()]
      const jump = drift(at, passed)
      const isFirst = seen === undefined
      seen = { at, elapsed: passed }
      if (Math.abs(jump) > TOLERANCE) {
        ahead += jump
        // Set right after it was back, it makes whatever was pushed meanwhile old: pushes under way get the time to end.
        const long = isFirst || ahead <= TOLERANCE ? START_HOLD : HOLD
        const hold = Math.min(Math.max(ahead, jump, 0), long)
        heldUntil = passed + hold
        tell(jump, hold, isFirst)
        return false
      }
      if (heldUntil !== undefined && passed < heldUntil) return false
      if (heldUntil !== undefined && ahead > 0) ahead = 0
      heldUntil = undefined
      return true
    },
  }
}

/** It goes on while the machine sleeps, as the clock does: a laptop that wakes up is no jump. */
function elapsedOfMachine(): number {
  return process.platform === 'linux' ? uptime() * 1000 : performance.now()
}

function spanOf(ms: number): string {
  const hours = Math.round(ms / 3_600_000)
  if (hours < 2) return `${Math.round(ms / 60_000)} minutes`
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`
}
