import { join } from 'node:path'
import { type AuditLog, createAuditLog } from './auth/audit.ts'
import type { TokenEvent } from './auth/token-server.ts'
import type { AuditConfig } from './config/config.ts'
import { plainAddress } from './http/peer.ts'
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

export interface AuditTrail {
  record(row: AuditRow): void
  /** After a tool has moved the file away. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/** Every decision as a row of the database, and as a JSON line in a file; in the log where there is neither. */
export async function openAudit(
  config: AuditConfig,
  deps: { metadata: Metadata | undefined; directory: string; log: Log; now: () => number },
): Promise<AuditTrail> {
  const { metadata, log } = deps
  const file = config.file ?? (metadata === undefined ? undefined : join(deps.directory, AUDIT_FILE))
  const onError = (error: Error) => log.error('the audit file cannot be written', { file, error })
  const options = { maxBytes: MAX_BYTES, keep: KEEP_FILES, onError }
  const lines = file === undefined ? undefined : await openJsonLines(file, options)
  const sink: AuditLog = createAuditLog({
    append: metadata === undefined ? async () => {} : metadata.audit.append,
    line: lines === undefined ? (json) => log.info('audit', JSON.parse(json)) : lines.write,
    now: deps.now,
    warn: (message, fields) => log.warn(message, fields),
  })
  return {
    record(row) {
      sink.record(row)
      // What somebody may have to look into is in the log, too.
      if (lines !== undefined && TOLD.has(row.outcome)) log.info(`${row.kind} ${row.outcome}`, told(row))
    },
    reopen: async () => await lines?.reopen(),
    async close() {
      await sink.close()
      await lines?.close()
    },
  }
}

const TOLD: ReadonlySet<AuditRow['outcome']> = new Set(['refused', 'denied', 'failed'])

function told({ account, address, service, asked, rules, detail }: AuditRow): Record<string, unknown> {
  const fields = { account, address, service, asked, rules, reason: detail }
  return Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== ''))
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
