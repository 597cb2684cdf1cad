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

/** Milliseconds between two notes of how long a hold still lasts. */
const NOTE = 10 * 60_000

/** A hold, as the next start finds it. Milliseconds. */
export interface ClockHold {
  /** The boot of the machine that `until` is of. */
  boot: string
  until: number
  /** What was left of it when it was written: another boot counts anew. */
  left: number
  /** By how much the clock was ahead. */
  ahead: number
}

/** Where a hold outlives the program, which may be started again while the clock is still wrong: its last use is of that clock, too. */
export interface ClockMemory {
  boot: string
  read(): ClockHold | undefined
  /** Never throws: who cannot write has the hold all the same. */
  write(hold: ClockHold): void
}

export interface ClockGuardOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds of a clock that nobody sets. */
  elapsed?: () => number
  /** When the data was used last, in milliseconds since the epoch; undefined: it is new. */
  lastUse: number | undefined
  memory?: ClockMemory | undefined
  /**
   * Milliseconds that what is going on was promised: what came while the clock was back has that time once it is set right, an hour at
   * least and a day at most.
   */
  promised?: () => number
  log: Log
}

export function createClockGuard(options: ClockGuardOptions): ClockGuard {
  const { now, elapsed = elapsedOfMachine, lastUse, memory, promised = () => 0, log } = options
  let seen: { at: number; elapsed: number } | undefined
  /** By how much the clock shows more than it would, had it only gone on; 0 again once that has been taken for right. */
  let ahead = 0
  /** By `elapsed`. */
  let heldUntil: number | undefined
  let notedAt = Number.NEGATIVE_INFINITY

  function note(passed: number): void {
    notedAt = passed
    const until = heldUntil ?? passed
    memory?.write({ boot: memory.boot, until, left: Math.max(until - passed, 0), ahead })
  }

  /** That of the program before this one. */
  function recall(passed: number): void {
    const kept = memory?.read()
    if (kept === undefined) return
    const left = Math.min(kept.boot === memory?.boot ? kept.until - passed : kept.left, HOLD)
    if (!(left > 0)) return
    ahead = kept.ahead
    heldUntil = passed + left
    log.info(
      `the clock went ahead before this start: nothing is removed by its age for ${spanOf(left)} more, unless it is set right before`,
    )
    note(passed)
  }

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
      if (isFirst) recall(passed)
      if (Math.abs(jump) > TOLERANCE) {
        ahead += jump
        // Set right after it was back, it makes whatever was pushed meanwhile old: pushes under way get the time to end.
        const long = isFirst || ahead <= TOLERANCE ? Math.min(Math.max(promised(), START_HOLD), HOLD) : HOLD
        const hold = Math.min(Math.max(ahead, jump, 0), long)
        // A long rest on top of a hold does not make that shorter.
        heldUntil = isFirst && jump > 0 ? Math.max(passed + hold, heldUntil ?? 0) : passed + hold
        tell(jump, hold, isFirst)
        note(passed)
        return false
      }
      if (heldUntil !== undefined && passed < heldUntil) {
        if (passed - notedAt >= NOTE) note(passed)
        return false
      }
      if (heldUntil !== undefined && ahead > 0) ahead = 0
      if (heldUntil !== undefined) {
        heldUntil = undefined
        note(passed)
      }
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
