import { resolve } from 'node:path'
import type { Config } from './config/config.ts'
import { bytesOfLimit, freeSpaceNow } from './files/free-space.ts'
import { createReserveFile } from './files/reserve-file.ts'
import { type Periodic, startPeriodic } from './jobs/periodic.ts'
import { sizeText } from './oci/size.ts'
import { createSpace, type Disk, type Space } from './registry/space.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Room on the disk: a floor below which pushes are refused, and a reserve that is given free when nothing else is left. */
export interface Room {
  space: Space
  /**
   * To be called when the database has no space: gives the reserve free. True: it is worth another try.
   * The reserve lies beside the database, whose changes are what a deletion needs space for.
   */
  relieve(): boolean
  /** Before the database is opened: gives the reserve free where there is no space to open it. */
  relieveIfFull(): void
  /** What is wrong, in words for an operator; undefined: there is room. */
  finding(): string | undefined
  /** Makes the reserve, or gives it free, as the disk is now; it happens by itself, too, once `start` was called. */
  look(): Promise<void>
  start(): Periodic
}

/** Milliseconds between two looks at the reserve. */
const LOOK_EVERY = 5_000
/** Part of the reserve: with less free space than that, a change of the database may fail. */
const ALARM = 0.25
/** So many times its size must be free before the reserve is made (again): what comes back goes to whoever cleans up first. */
const COMFORT = 2
/** Milliseconds until the next try to make it that follows one which failed, twice as long each time: it may mean writing all of it. */
const RETRY = 600_000
const RETRY_AT_MOST = 24 * 3_600_000

export function createRoom(deps: {
  data: Config['data']
  config: () => Pick<Config, 'space'>
  log: Log
  metrics: Metrics
  /** Milliseconds of a clock that is never set back. */
  clock?: () => number
}): Room {
  const { data, config, log, metrics, clock = () => performance.now() } = deps
  const home = resolve(data.metadata)
  const folders = [...new Set([resolve(data.directory), home])]
  const reserve = createReserveFile(home)
  const size = () => config().space.reserveBytes
  const refusals = metrics.counter('berth_pushes_refused_for_space_total', 'Pushes refused for want of disk space.', [])
  /** Until when it is not tried again, and how long that was. */
  let paused: { until: number; for: number } | undefined
  /** Whether it was given free since it was there. */
  let isGiven = false

  function disks(): Disk[] {
    return folders.map((path) => {
      const { free, size: all } = freeSpaceNow(path)
      // What the reserve lacks is not there for pushes.
      const lacking = path === home ? Math.max(0, size() - reserve.held()) : 0
      const floor = bytesOfLimit(config().space.minFree, all)
      return { path, free, least: floor + lacking }
    })
  }

  /** What a push meets; where a disk cannot be asked, the push finds out by itself. */
  function disksOfPush(): Disk[] {
    const { minFree, reserveBytes } = config().space
    if (reserveBytes === 0 && 'bytes' in minFree && minFree.bytes === 0) return []
    try {
      return disks()
    } catch {
      return []
    }
  }

  function relieve(): boolean {
    if (!reserve.release()) return false
    isGiven = true
    log.warn(
      'the disk is full: its reserve was given free, so that deletions and the collection of garbage can go on',
      {
        path: home,
        bytes: size(),
      },
    )
    return true
  }

  async function look(): Promise<void> {
    const wanted = size()
    if (wanted === 0) {
      reserve.release()
      return
    }
    const { free } = freeSpaceNow(home)
    const held = reserve.held()
    if (held > 0 && free < wanted * ALARM) {
      relieve()
      return
    }
    if (held === wanted) {
      paused = undefined
      return
    }
    if (free + held < wanted * COMFORT || clock() < (paused?.until ?? 0)) return
    try {
      await reserve.make(wanted)
      // Some file systems count blocks only later, and some never.
      if (reserve.held() < wanted) pause()
      if (isGiven) log.info('the disk has room again: the reserve is set aside anew', { path: home, bytes: wanted })
      isGiven = false
    } catch (error) {
      if (paused === undefined) log.warn('no space could be set aside for a full disk', { path: home, error })
      pause()
    }
  }

  function pause(): void {
    const time = Math.min((paused?.for ?? RETRY / 2) * 2, RETRY_AT_MOST)
    paused = { until: clock() + time, for: time }
  }

  return {
    space: createSpace({ disks: disksOfPush, onRefused: () => refusals().inc() }),
    relieve,
    relieveIfFull() {
      if (freeSpaceNow(home).free < size() * ALARM) relieve()
    },
    finding() {
      const short = disks().find(({ free, least }) => free < least)
      if (short === undefined) return undefined
      const { path, free, least } = short
      const reserved = path === home && reserve.held() < size() ? ', which is with its reserve' : ''
      return `${sizeText(free)} are free at ${path}: pushes are refused below ${sizeText(least)}${reserved} (space.minfree)`
    },
    look,
    start() {
      const gauge = (name: string, help: string, read: () => [string[], number][]) =>
        metrics.observed('gauge', name, help, ['path'], read)
      gauge('berth_disk_floor_bytes', 'Free bytes below which pushes are refused.', () =>
        disks().map(({ path, least }) => [[path], least]),
      )
      gauge('berth_disk_reserve_bytes', 'Bytes that are set aside for deletions on a full disk.', () => [
        [[home], reserve.held()],
      ])
      return startPeriodic({ everyMs: LOOK_EVERY, work: look, failure: 'the disk could not be looked at', log })
    },
  }
}
