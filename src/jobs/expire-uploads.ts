import type { Uploads } from '../registry/uploads.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** distribution's `storage.maintenance.uploadpurging`; milliseconds. */
export interface UploadPurging {
  enabled: boolean
  ageMs: number
  intervalMs: number
  /** Only tells how many there are. */
  dryRun: boolean
}

/** Ends uploads that nobody went on with, now and at each interval; without it their bytes would stay for ever. */
export function startExpiringUploads(deps: {
  uploads: Pick<Uploads, 'expire' | 'countStale'>
  purging: () => UploadPurging
  /** False: only when it is told to. */
  background?: boolean
  clock?: ClockGuard
  log: Log
  now: () => number
}): Periodic {
  const { uploads, purging, log, now, background, clock } = deps
  return startPeriodic({
    everyMs: () => purging().intervalMs,
    failure: 'uploads could not be expired',
    log,
    ...(background === undefined ? {} : { background }),
    ...(clock === undefined ? {} : { clock }),
    async work() {
      const { enabled, ageMs, dryRun } = purging()
      if (!enabled) return
      const before = now() - ageMs
      if (dryRun) {
        const stale = await uploads.countStale(before)
        if (stale > 0) log.info('uploads would expire, but uploadpurging.dryrun keeps them', { uploads: stale })
        return
      }
      const ended = await uploads.expire(before)
      if (ended > 0) log.info('uploads expired', { uploads: ended })
    },
  })
}
