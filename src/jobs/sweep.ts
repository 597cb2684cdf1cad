import type { Sweep } from '../registry/sweep.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Milliseconds between two walks through all files: what they look for is left by crashes alone. */
const INTERVAL = 24 * 3_600_000
/** Milliseconds after the start: a walk is work for the disk. */
const FIRST = 15 * 60_000

/** Looks for bytes that no row knows, some time after the start and once a day. */
export function startSweeping(deps: {
  sweep: Sweep
  settings: () => { enabled: boolean; olderThanMs: number }
  /** False: only when it is told to. */
  background?: boolean
  clock?: ClockGuard
  log: Log
  now: () => number
}): Periodic {
  const { sweep, settings, log, now, background, clock } = deps
  return startPeriodic({
    everyMs: INTERVAL,
    firstMs: FIRST,
    failure: 'files without a row could not be looked for',
    log,
    ...(background === undefined ? {} : { background }),
    ...(clock === undefined ? {} : { clock }),
    async work() {
      const { enabled, olderThanMs } = settings()
      if (!enabled) return
      const { objects, uploads } = await sweep(now() - olderThanMs)
      if (objects > 0 || uploads > 0) log.info('files without a row are removed', { blobs: objects, uploads })
    },
  })
}
