import type { Log } from '../telemetry/log.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Copies of the database, by the time at which each began, in milliseconds since the epoch. */
export interface DatabaseCopies {
  list(): Promise<number[]>
  write(at: number): Promise<void>
  remove(at: number): Promise<void>
}

const DAY = 24 * 3_600_000
/** Milliseconds between two looks, and until the first one: a start has other work. */
const INTERVAL = 3_600_000
const FIRST = 10 * 60_000

/** Copies the database when the last copy is a day old, and removes the oldest copies. */
export function startCopyingDatabase(deps: {
  copies: DatabaseCopies
  settings: () => { enabled: boolean; keep: number }
  /** Whether there is room for one more; a copy must not be what fills the disk. */
  hasRoom: () => Promise<boolean>
  /** False: only when it is told to. */
  background?: boolean
  log: Log
  now: () => number
}): Periodic {
  const { copies, settings, hasRoom, background, log, now } = deps
  return startPeriodic({
    everyMs: INTERVAL,
    firstMs: FIRST,
    failure: 'the database could not be copied',
    log,
    ...(background === undefined ? {} : { background }),
    async work() {
      const { enabled, keep } = settings()
      if (!enabled) return
      const time = now()
      const there = await copies.list()
      // A clock that was ahead once must not keep anything from being copied, nor its copies in place of newer ones.
      const ahead = there.filter((at) => at > time)
      const past = there.filter((at) => at <= time).sort((a, b) => b - a)
      if (past[0] !== undefined && time - past[0] < DAY) return
      if (!(await hasRoom())) {
        log.warn('the disk has too little space for the daily copy of the database')
        return
      }
      await copies.write(time)
      // Only once there is a new one.
      for (const at of [...ahead, ...past.slice(keep - 1)]) await copies.remove(at)
      log.info('the database was copied', { copies: Math.min(past.length + 1, keep) })
    },
  })
}
