import { join } from 'node:path'
import { refuseFolder } from './app-data.ts'
import { type AuditLog, createAuditLog } from './auth/audit.ts'
import { isOfStranger } from './auth/audit-flood.ts'
import { createRation } from './auth/ration.ts'
import type { TokenEvent } from './auth/token-server.ts'
import type { AuditConfig } from './config/config.ts'
import { plainAddress } from './http/peer.ts'
import type { PurgeRecord } from './http/v2/trash.ts'
import type { AuditRow, Metadata } from './metadata/metadata.ts'
import { openJsonLines } from './telemetry/json-lines.ts'
import type { Log } from './telemetry/log.ts'

/** Beside the database, unless the configuration names another file. */
const AUDIT_FILE = 'audit.log'
/** Bytes of a file of audit lines, and how many earlier ones are kept. */
const MAX_BYTES = 64 * 1024 * 1024
const KEEP_FILES = 4
/** Scopes of one decision that are written down; a request can ask for hundreds. */
const SCOPES = 20
const MAX_SCOPE = 300
/** Lines of the log about one account, and about all who are known; the audit log has each. And characters of a field. */
const TOLD_OF_EACH = { burst: 60, everyMs: 10_000 }
const TOLD_OF_ALL = { burst: 600, everyMs: 1000 }
const MAX_TOLD = 256

export interface AuditTrail {
  record(row: AuditRow): void
  /** After a tool has moved the file away. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/**
 * Every decision as a row of the database, and as a JSON line in a file; in the log where there is neither. `appended`
 * is told how many rows the database has more.
 */
export async function openAudit(
  config: AuditConfig,
  deps: {
    metadata: Pick<Metadata, 'audit'> | undefined
    directory: string
    log: Pick<Log, 'info' | 'warn' | 'error'>
    now: () => number
    appended?: (rows: number) => void
  },
): Promise<AuditTrail> {
  const { metadata, log, now, appended } = deps
  const file = config.file ?? (metadata === undefined ? undefined : join(deps.directory, AUDIT_FILE))
  if (file !== undefined) refuseFolder(file, 'the audit log')
  const onError = (error: Error) => log.error('the audit file cannot be written', { file, error })
  const options = { maxBytes: MAX_BYTES, keep: KEEP_FILES, onError }
  const lines = file === undefined ? undefined : await openJsonLines(file, options)
  const sink: AuditLog = createAuditLog({
    async append(rows) {
      await metadata?.audit.append(rows)
      appended?.(rows.length)
    },
    line: lines === undefined ? (json) => log.info('audit', untimed(json)) : lines.write,
    // What somebody may have to look into is in the log, too.
    kept: lines === undefined ? undefined : createTeller(log, now),
    now,
    warn: (message, fields) => log.warn(message, fields),
  })
  return {
    record: sink.record,
    reopen: async () => await lines?.reopen(),
    async close() {
      await sink.close()
      await lines?.close()
    },
  }
}

/** Every line of the log has a time already. */
function untimed(json: string): Record<string, unknown> {
  const { time: _, ...fields } = JSON.parse(json) as Record<string, unknown>
  return fields
}

const TOLD: ReadonlySet<AuditRow['outcome']> = new Set(['refused', 'denied', 'failed'])

function createTeller(log: Pick<Log, 'info'>, now: () => number): (row: AuditRow) => void {
  const ration = createRation({ now, each: TOLD_OF_EACH, all: TOLD_OF_ALL })
  let untold = 0
  return (row) => {
    if (!TOLD.has(row.outcome)) return
    // Strangers' rows have been rationed before.
    if (!isOfStranger(row) && !ration.take(`${row.source} ${row.account}`)) {
      untold++
      return
    }
    log.info(`${row.kind} ${row.outcome}`, told(row, untold))
    untold = 0
  }
}

/** `untold` lines before this one are in the audit log alone. */
function told({ account, address, service, asked, rules, detail }: AuditRow, untold: number): Record<string, unknown> {
  const fields = { account, address, service, asked, rules, reason: detail }
  const texts = Object.entries(fields).filter(([, text]) => text !== '')
  const short = texts.map(([name, text]) => [name, text.slice(0, MAX_TOLD).toWellFormed()])
  return { ...Object.fromEntries(short), ...(untold === 0 ? {} : { untold }) }
}

/** The record of a decision about a token. */
export function auditRowOf(event: TokenEvent, at: number): AuditRow {
  const { account, service, scopes } = event
  const address = event.address === undefined ? '' : plainAddress(event.address)
  const row = { at, kind: 'token', account, address, service, asked: spell(scopes) } as const
  if (event.kind === 'refused') {
    return { ...row, source: '', granted: '', rules: '', outcome: 'refused', detail: event.reason }
  }
  const rules = event.rules.slice(0, SCOPES).map((rule) => rule ?? 'none')
  const detail = event.token === undefined ? '' : `token ${event.token}`
  const outcome = outcomeOf(event)
  return { ...row, source: event.source, granted: spell(event.access), rules: rules.join(', '), outcome, detail }
}

/** The record of what a client of the registry took for good: nothing else will tell of it. */
export function auditRowOfPurge(event: Parameters<PurgeRecord>[0], at: number): AuditRow {
  const { account, repository, digest, purged } = event
  const address = event.address === undefined ? '' : plainAddress(event.address)
  const row = { at, kind: 'change', account, source: '', address, service: '', granted: '', rules: '' } as const
  const asked = `${repository}@${digest}`
  if (purged === undefined) return { ...row, asked, outcome: 'failed', detail: 'purged: the log says why' }
  const { manifests, kept, blobs } = purged
  const stay = kept.length === 0 ? '' : `; kept: ${kept.length}`
  const detail = `purged: manifests: ${manifests.length}, blobs: ${blobs.count} of ${blobs.bytes} bytes${stay}`
  return { ...row, asked, outcome: manifests.length === 0 ? 'failed' : 'done', detail }
}

function outcomeOf({ scopes, access }: Extract<TokenEvent, { kind: 'issued' }>): AuditRow['outcome'] {
  const whole = scopes.every(({ actions }, i) => actions.every((action) => access[i]?.actions.includes(action)))
  if (whole) return 'granted'
  return access.some(({ actions }) => actions.length > 0) ? 'partial' : 'denied'
}

function spell(list: readonly { type: string; name: string; actions: readonly string[] }[]): string {
  const texts = list.slice(0, SCOPES).map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`)
  const more = list.length > SCOPES ? [`and ${list.length - SCOPES} more`] : []
  return [...texts.map((text) => text.slice(0, MAX_SCOPE)), ...more].join(' ')
}
