import type { Log } from '../telemetry/log.ts'

export interface Periodic {
  /** Runs it now, after a run that is under way. Never rejects. */
  run(): Promise<void>
  /** Waits for a run that is under way. */
  stop(): Promise<void>
}

/** Does the work now and then every `everyMs` milliseconds, never twice at once; an error is logged as `failure`. */
export function startPeriodic(options: {
  everyMs: number
  work: () => Promise<void>
  failure: string
  log: Log
}): Periodic {
  const { everyMs, work, failure, log } = options
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
  const timer = setInterval(() => void run(), everyMs)
  timer.unref()
  void run()
  return {
    run,
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
