import { basename, dirname } from 'node:path'
import { readIfThere, writeDurably } from '../files/durable.ts'
import { AcmeError, recordOf } from './error.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Orders that failed since the last one that did not. Kept over restarts: authorities count failures by the hour and the day. */
export interface Attempts {
  failures: number
  /** Milliseconds since the epoch before which nothing is asked for. */
  notBefore: number
  /** Why the last one failed. */
  reason: string
}

/** Of the same hosts at the same authority; anything else begins anew. */
export async function readAttempts(path: string, subject: string): Promise<Attempts | undefined> {
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  try {
    const found = recordOf(JSON.parse(text))
    const { failures, notBefore, reason } = found
    if (found.subject !== subject || typeof failures !== 'number' || typeof notBefore !== 'number') return undefined
    return { failures, notBefore, reason: String(reason) }
  } catch {
    // Damaged: it only ever says when to try again.
    return undefined
  }
}

export async function writeAttempts(path: string, subject: string, attempts: Attempts): Promise<void> {
  await writeDurably(dirname(path), basename(path), `${JSON.stringify({ subject, ...attempts })}\n`, 0o600)
}

/**
 * When the next order may be tried. A failed validation counts at the authority (Let's Encrypt: five in an hour, for each
 * host): 5 minutes, then three times as long each time, up to a day. What never got so far waits from a minute up to an
 * hour. `jitter` is from 0 to 1.
 */
export function nextAttempt(before: Attempts | undefined, error: unknown, now: number, jitter: number): Attempts {
  const failures = (before?.failures ?? 0) + 1
  const isCounted = error instanceof AcmeError && error.type !== 'unreachable'
  const [first, factor, longest] = isCounted ? [5 * MINUTE, 3, 24 * HOUR] : [MINUTE, 2, HOUR]
  const wait = Math.min(first * factor ** (failures - 1), longest) * (1 + jitter / 4)
  const asked = error instanceof AcmeError ? (error.retryAfterMs ?? 0) : 0
  const reason = error instanceof Error ? error.message : String(error)
  return { failures, notBefore: now + Math.max(wait, asked), reason }
}
