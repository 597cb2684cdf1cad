import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'

export interface Periodic {
  /** Runs it now, after a run that is under way. Never rejects. */
  run(): Promise<void>
  /** As `run`, but it waits for its next time where the clock was set; so it happens by itself. */
  look(): Promise<void>
  /** Waits for a run that is under way. */
  stop(): Promise<void>
}

/**
 * Does the work now and then every `everyMs` milliseconds (asked anew each time, where it may change), never twice at once;
 * an error is logged as `failure`.
 */
export function startPeriodic(options: {
  everyMs: number | (() => number)
  work: () => Promise<void>
  failure: string
  log: Log
  /** False: only when it is told to. */
  background?: boolean
  /** Milliseconds until the first run, where that is not to be now. */
  firstMs?: number
  /** Where the work removes what is old. */
  clock?: ClockGuard
}): Periodic {
  const { everyMs, work, failure, log, background = true, firstMs, clock } = options
  let running = Promise.resolve()

  async function attempt(): Promise<void> {
    try {
      await work()
    } catch (error) {
      log.error(failure, { error })
    }
  }

  const run = (): Promise<void> => {
    running = running.then(attempt)
    return running
  }
  // Asked when its turn has come: the clock may be set while it waits for the run before.
  const look = (): Promise<void> => {
    running = running.then(() => (clock?.isSteady() === false ? undefined : attempt()))
    return running
  }
  let timer: Timer | undefined
  const every = () => Math.min(typeof everyMs === 'number' ? everyMs : everyMs(), LONGEST)
  const arm = (delay: number): void => {
    timer = setTimeout(() => {
      arm(every())
      void look()
    }, delay)
    timer.unref()
  }
  if (background) {
    arm(firstMs ?? every())
    if (firstMs === undefined) void look()
  }
  return {
    run,
    look,
    async stop() {
      clearTimeout(timer)
      await running
    },
  }
}

/** A timer takes no longer delay: it would fire at once. */
const LONGEST = 2 ** 31 - 1
