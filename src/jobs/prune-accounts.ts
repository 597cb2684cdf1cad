import type { Audit } from '../metadata/metadata.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClockGuard } from './clock-guard.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

const INTERVAL = 3_600_000
/** Rows of one transaction, and transactions of one run: a long one would keep pushes waiting. */
const PORTION = 1000
const PORTIONS = 2000
/** Audit rows that come between two runs at most: by so many there may be too many. */
const GROWTH = 20_000

export interface PruningAccounts extends Periodic {
  /** To be told of audit rows that came. Never waits, and never throws. */
  appended(rows: number): void
}

/** Removes tokens that ended and audit rows that are too many or too old: now, every hour, and when many rows came. */
export function startPruningAccounts(deps: {
  audit: Pick<Audit, 'prune'>
  removeEndedTokens: () => Promise<number>
  /** As the configuration has it now. */
  keep: () => { keepMs: number; keepRows: number }
  log: Log
  now: () => number
  clock?: ClockGuard | undefined
}): PruningAccounts {
  const { audit, removeEndedTokens, keep, log, now, clock } = deps
  let grown = 0
  let due = false
  const periodic = startPeriodic({
    everyMs: INTERVAL,
    failure: 'tokens and audit rows could not be pruned',
    log,
    ...(clock === undefined ? {} : { clock }),
    async work() {
      due = false
      grown = 0
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
  return {
    ...periodic,
    appended(rows) {
      grown += rows
      // One run is enough for all that comes before it.
      if (grown < GROWTH || due) return
      due = true
      void periodic.look()
    },
  }
}
