/** What clients do at the moment, looked at from outside: to know it costs a request one addition. */
export interface Traffic {
  /** Requests that came so far. */
  arrivals: number
  /** Requests that are not wholly answered, bodies on their way among them. */
  pending(): number
  /** Requests that change something, which wait for the disk where others are served from memory. */
  writes: {
    /** So far. */
    begun: number
    /** Of these, those that are not done. */
    open: number
  }
}

export function createTraffic(): Traffic {
  return { arrivals: 0, pending: () => 0, writes: { begun: 0, open: 0 } }
}

/** How much of the time work may take that can wait while clients are served. */
export interface Effort {
  /** Of the time, 0 to 1. */
  share: number
  /** Milliseconds that a rest lasts at most, so that the work ends however slow everything is. */
  longestRest: number
  /** Milliseconds for which a turn waits, at most, for a moment in which nobody pushes. */
  patience: number
}

/** 5 % of the time, at most 4 turns a second, and a turn in 1.25 s where somebody always pushes. */
export const GENTLE: Effort = { share: 0.05, longestRest: 250, patience: 1000 }
/** Somebody waits for it, or the disk is filling up: 25 % of the time, and a turn in 0.1 s where somebody always pushes. */
export const HURRIED: Effort = { share: 0.25, longestRest: 50, patience: 50 }
/** A request waits for it, which may be one of those that change something. */
export const AWAITED: Effort = { ...HURRIED, patience: 0 }

/** What a work may take once it has gone on for so many milliseconds. */
export interface Gear {
  after: number
  effort: Effort
}

/**
 * Gently, at first. Garbage that is made faster than that is taken makes each cycle longer than the one before: one that lasts takes
 * more of the time, so that what waits stays bounded while clients never pause.
 */
export const GROWING: readonly Gear[] = [
  { after: 0, effort: GENTLE },
  { after: 10 * 60_000, effort: { share: 0.1, longestRest: 125, patience: 250 } },
  { after: 60 * 60_000, effort: HURRIED },
]

/** Milliseconds without a request after which nobody is being served. A push makes its next request sooner than that. */
const QUIET = 1000
/** Milliseconds without a request that changes something after which nobody pushes: longer than a client takes from one to its next. */
const GAP = 30
/** Milliseconds without a beginning or an end after which what is on its way has long bodies, which sync at their ends: hours away, perhaps. */
const LONG_BODY = 1000
/** Milliseconds between two looks for a gap. */
const LOOK = 5
/** Milliseconds of a rest at least: what waits has its turn, and a clock that stood still does not make a turn free. */
const SHORTEST_REST = 2

export interface Pace {
  /**
   * Runs a turn of the work, between two pushes if it can be; while clients are served, it rests after it in proportion to the
   * time that the turn took.
   */
  turn<T>(work: () => Promise<T>): Promise<T>
  /** Whether nobody was served of late: a turn may be longer then. */
  isQuiet(): boolean
}

/**
 * Work that clients must not notice is done in short turns. How long one takes says how busy disk and database are: it waits
 * there behind the clients, and so the rests grow with the load. While nobody is served there are none. A push syncs several
 * times, and whoever else syncs then makes it wait for both: so a turn waits for the end of a push, where it can,
 * and where that is near.
 *
 * Each call begins a work: with one effort, or with gears, the least `after` first, by the time since then.
 */
export function createPaces(traffic: Traffic, clock: PaceClock = CLOCK): (effort: Effort | readonly Gear[]) => Pace {
  let seen = traffic.arrivals
  let servedAt = Number.NEGATIVE_INFINITY
  let written = traffic.writes.begun
  let unended = traffic.writes.open
  let changedAt = clock.elapsed()
  let wroteAt = Number.NEGATIVE_INFINITY

  function isServing(now: number): boolean {
    if (traffic.pending() > 0 || traffic.arrivals !== seen) {
      seen = traffic.arrivals
      servedAt = now
    }
    return now - servedAt < QUIET
  }

  function isWriting(now: number): boolean {
    const { begun, open } = traffic.writes
    const hasBegun = begun !== written
    if (hasBegun || open !== unended) changedAt = now
    if (hasBegun || (open > 0 && now - changedAt < LONG_BODY)) wroteAt = now
    written = begun
    unended = open
    return now - wroteAt < GAP
  }

  return (effort) => {
    const begunAt = clock.elapsed()
    const effortAt = (now: number): Effort => {
      if ('share' in effort) return effort
      return effort.findLast(({ after }) => now - begunAt >= after)?.effort ?? GENTLE
    }
    return {
      isQuiet: () => !isServing(clock.elapsed()),
      async turn(work) {
        const cameAt = clock.elapsed()
        const { patience } = effortAt(cameAt)
        for (let now = cameAt; isWriting(now) && now - cameAt < patience; now = clock.elapsed()) await clock.sleep(LOOK)
        const begun = clock.elapsed()
        try {
          return await work()
        } finally {
          const ended = clock.elapsed()
          if (isServing(ended)) {
            const { share, longestRest } = effortAt(ended)
            const rest = (ended - begun) * (1 / share - 1)
            await clock.sleep(Math.min(Math.max(rest, SHORTEST_REST), longestRest))
          }
        }
      },
    }
  }
}

export interface PaceClock {
  /** Milliseconds of a clock that is never set back. */
  elapsed(): number
  sleep(ms: number): Promise<void>
}

export const CLOCK: PaceClock = { elapsed: () => performance.now(), sleep: (ms) => Bun.sleep(ms) }
