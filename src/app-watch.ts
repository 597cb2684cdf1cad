import type { HealthConfig } from './config/config.ts'
import {
  addressAnswers,
  fileIsAbsent,
  goodFor,
  type PeriodicCheck,
  startChecks,
  urlAnswers,
} from './jobs/check-health.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Storage } from './storage/storage.ts'
import { createHealth, type Health } from './telemetry/health.ts'
import { createLifecycle, type Lifecycle } from './telemetry/lifecycle.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { Tracer } from './telemetry/trace.ts'

/** How the program is seen from outside. It is there before anything else is opened, and outlives every configuration. */
export interface Watch {
  metrics: Metrics
  /** Whether somebody may ask for the metrics: counting what is on the way of every request is left out otherwise. */
  metered: boolean
  health: Health
  lifecycle: Lifecycle
  /** Undefined: nothing is traced. */
  tracer: Tracer | undefined
}

export function createWatch({
  log,
  metered = false,
  tracer,
}: {
  log: Log
  metered?: boolean
  tracer?: Tracer | undefined
}): Watch {
  const metrics = createMetrics({ onError: (metric, error) => log.warn('a metric cannot be read', { metric, error }) })
  const health = createHealth({
    onChange(check, finding) {
      if (finding === undefined) log.info('health check is well again', { check })
      else log.error('health check failed', { check, finding })
    },
  })
  metrics.observed('gauge', 'berth_health_check', 'Whether a health check is well (1) or fails (0).', ['check'], () =>
    health.all().map(([name, isWell]) => [[name], Number(isWell)]),
  )
  return { metrics, metered, health, lifecycle: createLifecycle(), tracer }
}

/** Checks of Berth's own. What is known of the database is looked at often; while it is well it is written more rarely, to see whether it can be. */
const DATABASE_EVERY_MS = 2000
const WRITTEN_EVERY_MS = 30_000
const DISK_EVERY_MS = 30_000
const TIMEOUT_MS = 10_000

/** `health.*` of the configuration: while one of these fails, no request is served. */
export function startConfiguredChecks(config: HealthConfig, { health }: Watch, storage: Storage): { stop(): void } {
  const stops = 'requests' as const
  const checks: PeriodicCheck[] = [
    ...(config.storage === undefined
      ? []
      : [
          {
            name: 'storagedriver_filesystem',
            stops,
            ...timing(config.storage),
            timeoutMs: TIMEOUT_MS,
            look: () => storage.check(),
          },
        ]),
    ...config.files.map((check) => ({
      name: check.file,
      stops,
      ...timing(check),
      timeoutMs: TIMEOUT_MS,
      look: () => fileIsAbsent(check.file),
    })),
    ...config.urls.map((check) => ({
      name: check.url,
      stops,
      ...timing(check),
      timeoutMs: check.timeoutMs,
      look: (signal: AbortSignal) => urlAnswers(check, signal),
    })),
    ...config.addresses.map((check) => ({
      name: `${check.hostname}:${check.port}`,
      stops,
      ...timing(check),
      timeoutMs: check.timeoutMs,
      look: (signal: AbortSignal) => addressAnswers(check.hostname, check.port, signal),
    })),
  ]
  return startChecks(checks, health)
}

function timing({ intervalMs, threshold }: { intervalMs: number; threshold: number }) {
  return { everyMs: intervalMs, threshold }
}

/**
 * What Berth looks at by itself. None of it stops requests: pulls go on while the database cannot be written or the disk
 * is full.
 */
export function startOwnChecks(
  { health }: Watch,
  { metadata, room, damaged }: { metadata: Metadata; room: Finder; damaged: Finder },
): { stop(): void } {
  const write = goodFor(WRITTEN_EVERY_MS, () => metadata.status.write())
  return startChecks(
    [
      {
        name: 'database',
        stops: 'readiness',
        threshold: 1,
        everyMs: DATABASE_EVERY_MS,
        timeoutMs: TIMEOUT_MS,
        async look() {
          refuse(damaged.finding())
          await write()
        },
      },
      {
        name: 'disk',
        stops: 'notice',
        threshold: 1,
        everyMs: DISK_EVERY_MS,
        timeoutMs: TIMEOUT_MS,
        async look() {
          refuse(room.finding())
        },
      },
    ],
    health,
  )
}

interface Finder {
  finding(): string | undefined
}

function refuse(finding: string | undefined): void {
  if (finding !== undefined) throw new Error(finding)
}
