import { parseDuration } from './duration.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** Milliseconds: a timer takes no more than 24 days, and no answer is worth waiting for that long. */
export const MAX_TIME_LIMIT = 24 * 3_600_000

export interface SpanRules {
  /** Milliseconds that 0 stands for; undefined refuses 0. */
  zero?: number
  /** Milliseconds at most. */
  most?: number
  /** What is said of a negative one. */
  negative?: string
}

/** Whole milliseconds, at least 1, of a Go duration as it is written; a wrong one is a problem of its key. */
export function resolveSpan(text: string, path: Path, rules: SpanRules, places: Places): number {
  const refuse = (message: string, fix?: string): number => {
    places.problem(path, message, fix)
    return 1
  }
  const span = parseDuration(text)
  if (span === undefined) return refuse(`${JSON.stringify(text)} is no duration; write one such as 10s or 2h45m`)
  if (span < 0) return refuse(rules.negative ?? 'must not be negative')
  if (span === 0) return rules.zero ?? refuse('must be more than 0', 'Write one such as 10s or 2h45m.')
  if (rules.most !== undefined && span > rules.most) return refuse(`must be at most ${rules.most / 3_600_000}h`)
  if (span < 1 && /^\+?\d+$/.test(text)) {
    // Go reads a number without a unit as nanoseconds; hardly anybody means that.
    places.warn(path, `a number without a unit is nanoseconds, so this is 1ms`, `Write ${Number(text)}s for seconds.`)
  }
  return Math.ceil(span)
}

/** Of something that is gone after that time: a number without a unit is nanoseconds for Go, and would keep nothing. */
export function refuseUnitless(ms: number, path: Path, places: Places): void {
  if (ms <= 0 || ms >= 1) return
  const number = Math.round(ms * 1e6)
  places.problem(path, `${number} without a unit is nanoseconds`, `Write ${number}h for hours, ${number}s for seconds.`)
}
