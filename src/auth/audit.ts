import type { AuditRow } from '../metadata/metadata.ts'

export interface AuditLogOptions {
  /** Writes rows, in order and all or none; a call at a time. */
  append: (rows: AuditRow[]) => Promise<void>
  /** Takes each row as one line of JSON besides, without its line break. */
  line?: ((json: string) => void) | undefined
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds that a row waits for others. Default 250. */
  flushMs?: number
  /** Rows that wait at most, when the database does not take them. Default 50,000. */
  maxWaiting?: number
  warn: (message: string, fields: Record<string, unknown>) => void
}

export interface AuditLog {
  /** Cheap. After `close` rows go to the lines alone. */
  record(row: AuditRow): void
  /** Writes what was recorded up to now. Resolves when that has happened, or failed (and was warned of). */
  flush(): Promise<void>
  /** Writes the rest and stops. */
  close(): Promise<void>
}

/** Rows of one call of `append`; so many do not wait for the time. */
const PORTION = 1000
/** Milliseconds between attempts while the database does not take rows. */
const RETRY_MS = 5000
/** Characters of one text. */
const MAX_TEXT = 2000
/** JSON escapes C0 itself; DEL, C1 and the separators of lines would reach the terminal of whoever reads the file. */
const UNESCAPED = /[\u007f-\u009f\u2028\u2029]/g

/**
 * The sink of audit records: requests hand rows over and go on; a portion at a time goes to the database. While that
 * fails, rows wait; those past `maxWaiting` are lost to the database (never to the lines), and a row says later how many.
 */
export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { append, line, now, warn, flushMs = 250, maxWaiting = 50_000 } = options
  const waiting: AuditRow[] = []
  let lost = 0
  let failing = false
  let draining = false
  let closed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let last: Promise<void> = Promise.resolve()

  function schedule(): void {
    if (closed || timer !== undefined || waiting.length === 0) return
    timer = setTimeout(
      () => {
        timer = undefined
        void flush()
      },
      failing ? Math.max(flushMs, RETRY_MS) : flushMs,
    )
    // A process that has nothing else to do ends; whoever stops it in order closes the log first.
    timer.unref()
  }

  /** What waits now, and full portions that came meanwhile; not all that ever comes. */
  async function drain(): Promise<void> {
    draining = true
    let left = waiting.length
    while (left > 0 || waiting.length >= PORTION) {
      const portion = waiting.slice(0, PORTION)
      try {
        await append(portion)
      } catch (error) {
        if (!failing) warn('audit records wait, for they cannot be written', { error, waiting: waiting.length })
        failing = true
        break
      }
      waiting.splice(0, portion.length)
      left -= portion.length
      if (failing) warn('audit records are written again', { lost })
      failing = false
      if (lost > 0) {
        waiting.push(lossOf(lost, now()))
        left++
        lost = 0
      }
    }
    draining = false
    schedule()
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    last = last.then(drain)
    return last
  }

  return {
    record(row) {
      const clean = cutRow(row)
      line?.(lineOf(clean))
      if (closed) return
      if (waiting.length >= maxWaiting) lost++
      else waiting.push(clean)
      if (waiting.length >= PORTION && !draining && !failing) {
        draining = true
        void flush()
      } else schedule()
    },
    flush,
    async close() {
      await flush()
      closed = true
      clearTimeout(timer)
      timer = undefined
      const unwritten = waiting.length + lost
      if (unwritten > 0) warn('audit records were lost, for they could not be written', { lost: unwritten })
    },
  }
}

function cutRow(row: AuditRow): AuditRow {
  const { at, kind, outcome } = row
  return {
    at,
    kind,
    account: cut(row.account),
    source: cut(row.source),
    address: cut(row.address),
    service: cut(row.service),
    asked: cut(row.asked),
    granted: cut(row.granted),
    rules: cut(row.rules),
    outcome,
    detail: cut(row.detail),
  }
}

/** What no database takes as text (NUL, half a character) must not keep the rows beside it from being written. */
function cut(text: string): string {
  const short = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text
  const well = short.isWellFormed() ? short : short.toWellFormed()
  return well.includes('\0') ? well.replaceAll('\0', '\ufffd') : well
}

function lineOf({ at, ...rest }: AuditRow): string {
  const json = JSON.stringify({ time: new Date(at).toISOString(), ...rest })
  return json.replace(UNESCAPED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function lossOf(count: number, at: number): AuditRow {
  return {
    at,
    kind: 'change',
    account: '',
    source: '',
    address: '',
    service: '',
    asked: 'audit',
    granted: '',
    rules: '',
    outcome: 'failed',
    detail: `${count} audit records before this one are lost: the database did not take them in time`,
  }
}
