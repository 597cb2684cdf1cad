import type { Clock } from './app-clock.ts'
import type { Config } from './config/config.ts'
import { type ClockMemory, createClockGuard } from './jobs/clock-guard.ts'
import { startRetaining } from './jobs/retain.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Digest } from './oci/digest.ts'
import type { Events } from './registry/events.ts'
import type { ImmutableTags } from './registry/immutable.ts'
import type { Manifests } from './registry/manifests.ts'
import type { Traffic } from './registry/pace.ts'
import { createRetention, type Retention } from './registry/retention.ts'
import { createImageExpiries } from './registry/retention-expiry.ts'
import { createPlanner } from './registry/retention-plan.ts'
import { createRetentionRules } from './registry/retention-rule-list.ts'
import type { Storage } from './storage/storage.ts'
import type { Log } from './telemetry/log.ts'

/** The rules of retention, and the job that carries them out. */
export interface Retaining {
  retention: Retention
  /** One look whether a run is due; it happens by itself. Resolves when that run has ended. */
  retain(): Promise<void>
  /** As `retain`, unless the clock was set. */
  look(): Promise<void>
  stop(): Promise<void>
}

export function openRetention(deps: {
  metadata: Metadata
  storage: Storage
  manifests: Manifests
  immutable: ImmutableTags
  events: Events
  onFreed: (digests: readonly Digest[]) => void
  flushPulls: () => Promise<void>
  /** The configuration in force. */
  config: () => Pick<Config, 'retention' | 'readOnly'>
  /** Whether images of another registry are being adopted: nothing may go of what is not wholly there. */
  isAdopting: () => boolean
  /** False: nothing happens by itself. */
  background: boolean
  /** When the database was written last before this start. */
  lastUse: number | undefined
  clockMemory?: ClockMemory | undefined
  traffic: Traffic
  log: Log
  now: Clock['now']
  newId: Clock['newId']
}): Retaining {
  const {
    metadata,
    storage,
    manifests,
    immutable,
    events,
    onFreed,
    flushPulls,
    config,
    isAdopting,
    background,
    lastUse,
  } = deps
  const { log, now, newId, traffic } = deps
  const names = () => config().retention.expiry.names
  const expiries = createImageExpiries({ metadata, storage, names })
  const retention = createRetention({
    ...{ metadata, manifests, immutable, events, onFreed, flushPulls, traffic, now, newId },
    rules: createRetentionRules({ retention: metadata.retention, configured: () => config().retention.rules }),
    planner: createPlanner({ metadata, immutable, expiries, now }),
    settings: () => config().retention,
    isReadOnly: () => config().readOnly || isAdopting(),
    onEnd({ state, error, repositories, tags, manifests: gone, bytes, skipped }) {
      const counts = { repositories, tags, manifests: gone, bytes, skipped }
      if (state === 'failed') log.error('retention failed', { ...counts, error })
      else if (tags + gone + skipped > 0) log.info('retention deleted tags and images', counts)
    },
  })
  const clock = createClockGuard({ now, lastUse, memory: deps.clockMemory, log })
  const job = startRetaining({ retention, background, clock, log })
  return {
    retention,
    retain: job.run,
    look: job.look,
    async stop() {
      await retention.stop()
      await job.stop()
    },
  }
}
