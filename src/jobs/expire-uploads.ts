import type { Uploads } from '../registry/uploads.ts'
import type { Log } from '../telemetry/log.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Milliseconds: registry:2 keeps an upload that nobody goes on with for as long. */
export const UPLOAD_LIFE = 168 * 3_600_000
/** Milliseconds between two looks. */
const INTERVAL = 3_600_000

/** Ends uploads that nobody went on with for a week, now and every hour; without it their bytes would stay for ever. */
export function startExpiringUploads(deps: {
  uploads: Pick<Uploads, 'expire'>
  log: Log
  now: () => number
}): Periodic {
  const { uploads, log, now } = deps
  return startPeriodic({
    everyMs: INTERVAL,
    failure: 'uploads could not be expired',
    log,
    async work() {
      const ended = await uploads.expire(now() - UPLOAD_LIFE)
      if (ended > 0) log.info('uploads expired', { uploads: ended })
    },
  })
}
