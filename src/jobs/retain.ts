import type { Retention } from '../registry/retention.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** Milliseconds between two looks whether a run is due: the last one may have been another process's. */
const LOOK = 60_000

/** Carries the rules of retention out when an interval has passed since the last run, be it before a restart. */
export function startRetaining(deps: {
  retention: Pick<Retention, 'start' | 'settings'>
  /** False: only when it is told to. */
  background?: boolean
  clock?: ClockGuard
  log: Log
}): Periodic {
  const { retention, log, background, clock } = deps
  return startPeriodic({
    everyMs: () => Math.min(LOOK, retention.settings().intervalMs),
    failure: 'the rules of retention could not be carried out',
    log,
    // A server that starts has other things to do.
    firstMs: LOOK,
    ...(background === undefined ? {} : { background }),
    ...(clock === undefined ? {} : { clock }),
    async work() {
      if (!retention.settings().enabled) return
      const begun = await retention.start({ repositories: undefined, rule: undefined }, 'schedule', '')
      // Not due, somebody else's turn, or a registry that is not to be written to: the next look asks again.
      if (typeof begun === 'string') return
      await begun.ended
    },
  })
}
