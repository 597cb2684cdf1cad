import type { CollectionEvents, Collector } from '../registry/collect.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Collects garbage: now and at each interval. When space is short, the trash goes before its time. */
export function startCollecting(deps: {
  collector: Pick<Collector, 'cycle' | 'relieve'>
  settings: () => { enabled: boolean; intervalMs: number }
  /** Whether there is less free space than there should be. */
  isShort: () => Promise<boolean>
  /** False: only when it is told to. */
  background?: boolean
  clock?: ClockGuard
  log: Log
}): Periodic {
  const { collector, settings, isShort, log, background, clock } = deps
  const events: CollectionEvents = {
    failed: (candidate, error) =>
      log.warn('a candidate of the collector was put off', { ...wordsOf(candidate), error }),
  }
  return startPeriodic({
    everyMs: () => settings().intervalMs,
    failure: 'garbage could not be collected',
    log,
    ...(background === undefined ? {} : { background }),
    ...(clock === undefined ? {} : { clock }),
    async work() {
      if (!settings().enabled) return
      const { manifests, unlinked } = await collector.cycle({ immediately: false, untagged: false }, events)
      if (manifests.count > 0 || unlinked.count > 0) {
        log.info('garbage collected', { manifests: manifests.count, blobs: unlinked.count, bytes: unlinked.bytes })
      }
      const purged = await collector.relieve(isShort, events)
      if (purged > 0)
        log.warn('the disk is filling up: manifests left the trash before their time', { manifests: purged })
    },
  })
}

function wordsOf(candidate: { kind: string; digest: string; repository?: string }): Record<string, string> {
  const { kind, digest, repository } = candidate
  return repository === undefined ? { kind, digest } : { kind, digest, repository }
}
