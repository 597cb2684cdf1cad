import type { Audit } from '../metadata/metadata.ts'
import type { Log } from '../telemetry/log.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

const INTERVAL = 3_600_000
/** Rows of one transaction, and transactions of one run: a long one would keep pushes waiting. */
const PORTION = 1000
const PORTIONS = 2000

/** Removes tokens that ended and audit rows that are too many or too old, now and every hour. */
export function startPruningAccounts(deps: {
  audit: Pick<Audit, 'prune'>
  removeEndedTokens: () => Promise<number>
  /** As the configuration has it now. */
  keep: () => { keepMs: number; keepRows: number }
  log: Log
  now: () => number
}): Periodic {
  const { audit, removeEndedTokens, keep, log, now } = deps
  return startPeriodic({
    everyMs: INTERVAL,
    failure: 'tokens and audit rows could not be pruned',
    log,
    async work() {
      const tokens = await removeEndedTokens()
      const { keepMs, keepRows } = keep()
      let rows = 0
      for (let i = 0; i < PORTIONS; i++) {
        const removed = await audit.prune(now() - keepMs, keepRows, PORTION)
        rows += removed
        if (removed < PORTION) break
      }
      if (tokens > 0 || rows > 0) log.info('tokens and audit rows pruned', { tokens, rows })
    },
  })
}
