/** What clients do at the moment, looked at from outside: to know it costs a request one addition. */
export interface Traffic {
  /** Requests that came so far. */
  arrivals: number
  /** Requests that are not wholly answered, bodies on their way among them. */
  pending(): number
}

export function createTraffic(): Traffic {
  return { arrivals: 0, pending: () => 0 }
}

/** How much of the time work may take that can wait while clients are served. */
export interface Effort {
  /** Of the time, 0 to 1. */
  share: number
  /** Milliseconds that a rest lasts at most, so that the work ends however slow everything is. */
  longestRest: number
}

/** 5 % of the time, and at least 4 turns a second. */
export const GENTLE: Effort = { share: 0.05, longestRest: 250 }
/** Somebody waits for it, or the disk is filling up: 25 % of the time, and at least 20 turns a second. */
export const HURRIED: Effort = { share: 0.25, longestRest: 50 }

/** Milliseconds without a request after which nobody is being served. A push makes its next request sooner than that. */
const QUIET = 1000
/** Milliseconds of a rest at least: what waits has its turn, and a clock that stood still does not make a turn free. */
const SHORTEST_REST = 2

export interface Pace {
  /** Runs a turn of the work; while clients are served, it rests after it in proportion to the time that the turn took. */
  turn<T>(work: () => Promise<T>): Promise<T>
  /** Whether nobody was served of late: a turn may be longer then. */
  isQuiet(): boolean
}

/**
 * Work that clients must not notice is done in short turns. How long one takes says how busy disk and database are: it waits
 * there behind the clients, and so the rests grow with the load. While nobody is served there are none.
 */
export function createPace(traffic: Traffic, effort: Effort, clock: PaceClock = CLOCK): Pace {
  let seen = traffic.arrivals
  let servedAt = Number.NEGATIVE_INFINITY

  function isServing(now: number): boolean {
    if (traffic.pending() > 0 || traffic.arrivals !== seen) {
      seen = traffic.arrivals
      servedAt = now
    }
    return now - servedAt < QUIET
  }

  return {
    isQuiet: () => !isServing(clock.elapsed()),
    async turn(work) {
      const begun = clock.elapsed()
      try {
        return await work()
      } finally {
        const ended = clock.elapsed()
        if (isServing(ended)) {
          const rest = (ended - begun) * (1 / effort.share - 1)
          await clock.sleep(Math.min(Math.max(rest, SHORTEST_REST), effort.longestRest))
        }
      }
    },
  }
}

export interface PaceClock {
  /** Milliseconds of a clock that is never set back. */
  elapsed(): number
  sleep(ms: number): Promise<void>
}

const CLOCK: PaceClock = { elapsed: () => performance.now(), sleep: (ms) => Bun.sleep(ms) }
