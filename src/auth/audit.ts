import type { AuditRow } from '../metadata/metadata.ts'
import { visibleJson } from '../telemetry/visible.ts'
import { createFlood, isOfStranger } from './audit-flood.ts'

export interface AuditLogOptions {
  /** Writes rows, in order and all or none; a call at a time. */
  append: (rows: AuditRow[]) => Promise<void>
  /** Takes each row as one line of JSON besides, without its line break. */
  line?: ((json: string) => void) | undefined
  /** Told of each row that is kept, as it is kept. */
  kept?: ((row: AuditRow) => void) | undefined
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds that a row waits for others. Default 250. */
  flushMs?: number
  /** Rows that wait at most, when the database does not take them. Default 50,000. */
  maxWaiting?: number
  /** Characters of rows that wait at most. Default 16 Mi. */
  maxCharacters?: number
  /** Milliseconds after which what strangers asked past their ration is summed up in a row. Default a minute. */
  sumMs?: number
  warn: (message: string, fields: Record<string, unknown>) => void
}

export interface AuditLog {
  /** Cheap. A stranger's row past the ration is only counted. After `close` rows go to the lines alone. */
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
/** Characters of one text: of what was asked and decided for somebody who is known, and of all else. */
const MAX_TEXT = 2000
const MAX_NAME = 256

/**
 * The sink of audit records: requests hand rows over and go on; a portion at a time goes to the database. While that
 * fails, rows wait; those past the bounds are lost to the database (never to the lines), and a row says later how many.
 */
export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { append, line, kept, now, warn, flushMs = 250, maxWaiting = 50_000, sumMs = 60_000 } = options
  const { maxCharacters = 16 * 1024 * 1024 } = options
  const flood = createFlood(now)
  const waiting: AuditRow[] = []
  let characters = 0
  let lost = 0
  let failing = false
  let draining = false
  let closed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let summing: ReturnType<typeof setTimeout> | undefined
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
      characters -= portion.reduce((sum, row) => sum + lengthOf(row), 0)
      left -= portion.length
      if (failing) warn('audit records are written again', { lost })
      failing = false
      if (lost > 0) {
        const loss = lossOf(lost, now())
        waiting.push(loss)
        characters += lengthOf(loss)
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

  function keep(row: AuditRow): void {
    const clean = cutRow(row)
    line?.(lineOf(clean))
    kept?.(clean)
    if (closed) return
    const length = lengthOf(clean)
    if (waiting.length >= maxWaiting || characters + length > maxCharacters) lost++
    else {
      waiting.push(failing ? detached(clean) : clean)
      characters += length
    }
    if (waiting.length >= PORTION && !draining && !failing) {
      draining = true
      void flush()
    } else schedule()
  }

  function sumUp(): void {
    clearTimeout(summing)
    summing = undefined
    for (const row of flood.sums()) keep(row)
  }

  return {
    record(row) {
      if (!isOfStranger(row) || flood.admits(row)) return keep(row)
      if (closed || summing !== undefined) return
      summing = setTimeout(sumUp, sumMs)
      summing.unref()
    },
    flush,
    async close() {
      sumUp()
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
  const most = isOfStranger(row) ? MAX_NAME : MAX_TEXT
  return {
    at,
    kind,
    account: cut(row.account, MAX_NAME),
    source: cut(row.source, MAX_NAME),
    address: cut(row.address, MAX_NAME),
    service: cut(row.service, MAX_NAME),
    asked: cut(row.asked, most),
    granted: cut(row.granted, most),
    rules: cut(row.rules, most),
    outcome,
    detail: cut(row.detail, most),
  }
}

/** What no database takes as text (NUL, half a character) must not keep the rows beside it from being written. */
function cut(text: string, most: number): string {
  const short = text.length > most ? text.slice(0, most) : text
  const well = short.isWellFormed() ? short : short.toWellFormed()
  return well.includes('\0') ? well.replaceAll('\0', '\ufffd') : well
}

/** Characters. */
function lengthOf({ account, source, address, service, asked, granted, rules, detail }: AuditRow): number {
  const names = account.length + source.length + address.length + service.length
  return names + asked.length + granted.length + rules.length + detail.length
}

/** A text cut from a request keeps all of that in memory, which a row that waits long must not. */
function detached(row: AuditRow): AuditRow {
  return JSON.parse(JSON.stringify(row)) as AuditRow
}

function lineOf({ at, ...rest }: AuditRow): string {
  return visibleJson(JSON.stringify({ time: new Date(at).toISOString(), ...rest }))
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
