import type { Config } from './config/config.ts'
import type { ClockGuard } from './jobs/clock-guard.ts'
import type { Periodic } from './jobs/periodic.ts'
import { startScrubbing } from './jobs/scrub.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Blobs } from './registry/blobs.ts'
import type { Manifests } from './registry/manifests.ts'
import type { QuotaBook } from './registry/quotas.ts'
import { createScrub } from './registry/scrub.ts'
import type { Uploads } from './registry/uploads.ts'
import type { Policy } from './registry/validation.ts'
import { createVerifier } from './registry/verify.ts'
import { createBlobChecks } from './registry/verify-blobs.ts'
import { checkQuotas } from './registry/verify-quotas.ts'
import { createVerifyRuns, type VerifyRuns } from './registry/verify-runs.ts'
import type { Storage } from './storage/storage.ts'
import type { Health } from './telemetry/health.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Verification {
  runs: VerifyRuns
  scrubbing: Periodic
  stop(): Promise<void>
}

/** What looks at all that is stored: when somebody asks for it, and by itself. */
export function createVerification(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Blobs
  manifests: Manifests
  uploads: Uploads
  policy: () => Policy
  config: () => Pick<Config, 'verify' | 'uploads'>
  quotas: Pick<QuotaBook, 'check'>
  metrics: Metrics
  health: Health
  background: boolean
  clock: ClockGuard
  log: Log
  now: () => number
  newId: () => string
}): Verification {
  const { metadata, storage, config, metrics, health, background, clock, log, now, newId } = deps
  const uploadAge = () => config().uploads.purging.ageMs
  const runs = createVerifyRuns({
    ...{ metadata, now, newId },
    verifier: createVerifier({ ...deps, uploadAge, extra: [checkQuotas(deps.quotas)] }),
    onFailure: (error) => log.warn('a verification failed', { error }),
  })
  const check = health.add('blobs', { threshold: 1, stops: 'notice' })
  const scrubbing = startScrubbing({
    ...{ metadata, metrics, background, clock, log, now },
    scrub: createScrub({ metadata, storage, now, checks: createBlobChecks(deps) }),
    settings() {
      const { scrub, quarantineMs: keep } = config().verify
      return { enabled: scrub.enabled, every: scrub.everyMs, rate: scrub.rate, keep }
    },
    onDamaged: (count) =>
      check.report(count === 0 ? undefined : `${count} blobs are damaged; berth verify tells which images need them`),
  })
  return {
    runs,
    scrubbing,
    async stop() {
      runs.stop()
      await Promise.all([runs.idle(), scrubbing.stop()])
      check.remove()
    },
  }
}
