import type { Metadata } from '../metadata/metadata.ts'
import { affectedText, type Finding } from '../registry/finding.ts'
import { StoppedError } from '../registry/rate.ts'
import type { Scrub, ScrubTerms } from '../registry/scrub.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Milliseconds after the start, for a start has other work; and between two looks whether a pass is due. */
const FIRST = 10 * 60_000
const INTERVAL = 15 * 60_000

/** Tags that a line of the log names. */
const NAMED = 10

/** Hashes every blob in the course of weeks, and tells of what is damaged: in the log (and so by mail), the metrics, and to `onDamaged`. */
export function startScrubbing(deps: {
  scrub: Scrub
  metadata: Metadata
  settings: () => ScrubTerms & { enabled: boolean; keep: number }
  metrics: Metrics
  /** False: only when it is told to. */
  background: boolean
  clock?: ClockGuard
  log: Log
  now: () => number
  /** How many blobs are damaged, as far as it is known. */
  onDamaged: (count: number) => void
}): Periodic {
  const { scrub, metadata, settings, metrics, background, clock, log, now, onDamaged } = deps
  const controller = new AbortController()
  const blobs = metrics.counter('berth_scrub_blobs_total', 'Blobs that the scrub has hashed.')()
  const bytes = metrics.counter('berth_scrub_bytes_total', 'Their bytes.')()
  const damaged = metrics.counter('berth_scrub_damaged_total', 'Blobs that the scrub found damaged.')()
  metrics.observed('gauge', 'berth_blobs_damaged', 'Blobs that are known to be damaged now.', [], async () => [
    [[], await metadata.verification.countDamaged()],
  ])
  metrics.observed(
    'gauge',
    'berth_scrub_completed_time_seconds',
    'When the last pass over all blobs ended; 0: none did yet.',
    [],
    async () => [[[], ((await metadata.verification.scrub())?.endedAt ?? 0) / 1000]],
  )

  function found(finding: Finding): void {
    if (finding.kind === 'blob-damaged' && finding.outcome !== 'mended') return
    if (finding.kind !== 'blob-damaged' && finding.severity === 'fault') damaged.inc()
    const { what, detail, affected, outcome, done, advice } = finding
    const fields = {
      blob: what.replace(/^blob /, ''),
      finding: detail,
      affected: affected.slice(0, NAMED).map(affectedText).join(' '),
      ...(done === undefined ? {} : { done }),
      ...(advice === undefined ? {} : { advice }),
    }
    if (outcome === 'mended' || finding.severity === 'note') log.warn('a blob was damaged, and is whole again', fields)
    else log.error('a blob is damaged', fields)
  }

  const periodic = startPeriodic({
    everyMs: INTERVAL,
    firstMs: FIRST,
    failure: 'blobs could not be scrubbed',
    background,
    log,
    ...(clock === undefined ? {} : { clock }),
    async work() {
      const { enabled, every, rate, keep } = settings()
      try {
        if (enabled) {
          await scrub.run(
            { every, rate },
            {
              found,
              blob(size) {
                blobs.inc()
                bytes.inc(size)
              },
              completed: (state) =>
                log.info('every blob was hashed', { blobs: state.blobs, bytes: state.bytes, damaged: state.damaged }),
            },
            controller.signal,
          )
        }
        const removed = await scrub.expire(now() - keep)
        if (removed > 0) log.info('old bytes left the quarantine', { files: removed })
      } catch (error) {
        if (!(error instanceof StoppedError)) throw error
      } finally {
        onDamaged(await metadata.verification.countDamaged())
      }
    },
  })
  return {
    ...periodic,
    async stop() {
      controller.abort()
      await periodic.stop()
    },
  }
}
