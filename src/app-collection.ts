import type { Clock } from './app-clock.ts'
import { createVerification, type Verification } from './app-verify.ts'
import type { Watch } from './app-watch.ts'
import type { Config, TrashConfig } from './config/config.ts'
import { bytesOfLimit, freeSpace } from './files/free-space.ts'
import { type ClockMemory, createClockGuard } from './jobs/clock-guard.ts'
import { startCollecting } from './jobs/collect.ts'
import { startEndingDeletions } from './jobs/end-deletions.ts'
import { startExpiringUploads } from './jobs/expire-uploads.ts'
import { startSweeping } from './jobs/sweep.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Blobs } from './registry/blobs.ts'
import { type CollectionTerms, type Collector, createCollector } from './registry/collect.ts'
import { type CollectionRuns, createCollectionRuns } from './registry/collect-runs.ts'
import type { Manifests } from './registry/manifests.ts'
import type { Traffic } from './registry/pace.ts'
import type { QuotaBook } from './registry/quotas.ts'
import type { Repositories } from './registry/repositories.ts'
import { createSweep } from './registry/sweep.ts'
import type { Uploads } from './registry/uploads.ts'
import type { Policy } from './registry/validation.ts'
import type { Storage } from './storage/storage.ts'
import type { Log } from './telemetry/log.ts'

/** The collector, and what happens by itself. */
export interface Upkeep {
  collector: Collector
  runs: CollectionRuns
  /** Ends uploads that nobody went on with; it happens by itself, too. */
  expireUploads(): Promise<void>
  /** One cycle of the collector, as it happens by itself. */
  collect(): Promise<void>
  /** Looks for bytes without a row; it happens by itself once a day. */
  sweep(): Promise<void>
  /** Carries on with deletions of repositories that were left in their middle; it happens by itself, too. */
  endDeletions(): Promise<void>
  verification: Verification
  stop(): Promise<void>
}

export function createUpkeep(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Blobs
  manifests: Manifests
  uploads: Uploads
  repositories: Pick<Repositories, 'resume'>
  /** The configuration in force. */
  policy: () => Policy
  config: () => Pick<Config, 'gc' | 'trash' | 'uploads' | 'data' | 'verify'>
  watch: Pick<Watch, 'metrics' | 'health'>
  quotas: Pick<QuotaBook, 'check'>
  /** False: nothing happens by itself. */
  background: boolean
  /** When the database was written last before this start. */
  lastUse: number | undefined
  clockMemory?: ClockMemory | undefined
  isHeld: () => boolean
  traffic: Traffic
  log: Log
  now: Clock['now']
  newId: Clock['newId']
}): Upkeep {
  const {
    metadata,
    storage,
    blobs,
    manifests,
    uploads,
    repositories,
    config,
    background,
    lastUse,
    isHeld,
    traffic,
    log,
    now,
    newId,
  } = deps
  let stopping = false
  const promised = () => config().gc.delayMs
  const clock = () => createClockGuard({ now, lastUse, memory: deps.clockMemory, promised, log })
  const collector = createCollector({
    ...{ metadata, storage, blobs, manifests, now, isHeld, traffic },
    terms: () => termsOf(config()),
    isStopping: () => stopping,
  })
  const runs = createCollectionRuns({
    ...{ metadata, collector, now, newId },
    terms: () => termsOf(config()),
    onFailure: (error) => log.warn('garbage could not be collected as asked', { error }),
  })
  const sweep = createSweep({ metadata, storage, blobs, uploads, now })
  const jobs = [
    startExpiringUploads({
      ...{ uploads, log, now, background, clock: clock() },
      purging: () => config().uploads.purging,
    }),
    startCollecting({
      ...{ collector, log, background, clock: clock() },
      settings: () => config().gc,
      isShort: () => isShort(config().data.directory, config().trash.minFree),
    }),
    startSweeping({
      ...{ sweep, log, now, background, clock: clock() },
      settings: () => ({ enabled: config().gc.enabled, olderThanMs: config().uploads.purging.ageMs }),
    }),
    startEndingDeletions({ repositories, log, background }),
  ] as const
  const [expiry, collecting, sweeping, ending] = jobs
  const verification = createVerification({ ...deps, ...deps.watch, clock: clock() })
  return {
    collector,
    runs,
    expireUploads: expiry.run,
    collect: collecting.run,
    sweep: sweeping.run,
    endDeletions: ending.run,
    verification,
    async stop() {
      stopping = true
      await Promise.all([runs.idle(), verification.stop(), ...jobs.map((job) => job.stop())])
    },
  }
}

export function termsOf({ gc, trash }: Pick<Config, 'gc' | 'trash'>): CollectionTerms {
  return { delay: gc.delayMs, untagged: gc.untagged, window: trash.windowMs, workers: gc.workers }
}

/** Whether the disk of the data has less free space than there should be. */
async function isShort(directory: string, least: TrashConfig['minFree']): Promise<boolean> {
  if ('bytes' in least && least.bytes === 0) return false
  const { free, size } = await freeSpace(directory)
  return free < bytesOfLimit(least, size)
}

/** Those of the moment: they are others once what another registry left is adopted. */
export function runsOf(current: () => CollectionRuns): CollectionRuns {
  return {
    start: (mode) => current().start(mode),
    latest: () => current().latest(),
    idle: () => current().idle(),
    status: async () => await current().status(),
    why: async (digest) => await current().why(digest),
    purge: async (id) => await current().purge(id),
  }
}
