import type { Uploads } from '../registry/uploads.ts'
import type { Log } from '../telemetry/log.ts'

/** Milliseconds: registry:2 keeps an upload that nobody goes on with for as long. */
export const UPLOAD_LIFE = 168 * 3_600_000
/** Milliseconds between two looks. */
const INTERVAL = 3_600_000

/**
 * Ends uploads that nobody went on with for a week, now and every hour; without it their bytes would stay for ever.
 * `stop` waits for a run that is under way.
 */
export function startExpiringUploads(deps: { uploads: Pick<Uploads, 'expire'>; log: Log; now: () => number }): {
  run(): Promise<void>
  stop(): Promise<void>
} {
  const { uploads, log, now } = deps
  let running = Promise.resolve()

  async function expire(): Promise<void> {
    try {
      const ended = await uploads.expire(now() - UPLOAD_LIFE)
      if (ended > 0) log.info('uploads expired', { uploads: ended })
    } catch (error) {
      log.error('uploads could not be expired', { error })
    }
  }

  const run = (): Promise<void> => {
    running = running.then(expire)
    return running
  }
  const timer = setInterval(() => void run(), INTERVAL)
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
