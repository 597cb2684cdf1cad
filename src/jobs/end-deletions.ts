import type { Repositories } from '../registry/repositories.ts'
import type { Log } from '../telemetry/log.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

const INTERVAL = 60_000
const FAILURE = 'a deletion of a repository that was left in its middle could not go on'
/** Milliseconds after which a deletion counts as left by whoever carried it out. */
const IDLE = 60_000

/**
 * Deletions of repositories that were left in their middle go on: at the start all of them, for whoever carried them out has been
 * killed (or is another process, beside which that does no harm); later those that a fault ended, or that another process left.
 */
export function startEndingDeletions(deps: {
  repositories: Pick<Repositories, 'resume'>
  /** False: only when it is told to. */
  background?: boolean
  log: Log
}): Periodic {
  const { repositories, log, background } = deps
  let stopping = false
  let idleMs = 0
  const periodic = startPeriodic({
    everyMs: INTERVAL,
    failure: FAILURE,
    log,
    ...(background === undefined ? {} : { background }),
    async work() {
      const options = { idleMs, isStopping: () => stopping }
      idleMs = IDLE
      for await (const { repository, batch, state, manifests, error } of repositories.resume(options)) {
        if (error !== undefined) log.error(FAILURE, { repository, batch, error })
        else if (state === 'done')
          log.info('a deletion of a repository that was left in its middle has ended', { repository, batch, manifests })
      }
    },
  })
  return {
    ...periodic,
    async stop() {
      stopping = true
      await periodic.stop()
    },
  }
}
