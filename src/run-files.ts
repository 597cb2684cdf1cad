import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { version } from '../package.json' with { type: 'json' }
import { systemClock } from './app.ts'
import type { LogConfig } from './config/config.ts'
import { createLineWriter } from './telemetry/line-writer.ts'
import { createLog, type Log, type LogEntry, type RequestLog } from './telemetry/log.ts'
import { createMailHook, type MailHook } from './telemetry/mail-hook.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** In the data directory, until the first administrator changes it. */
export const PASSWORD_FILE = 'berth-admin-password'

/** Milliseconds that lines of requests may wait; others do not. */
const REQUEST_LINE_DELAY = 200

export interface OpenLog {
  log: RequestLog
  /** Counts the mails about its lines. */
  count(metrics: Metrics): void
  /** Writes out what waits. */
  flush(): void
  /** The same, and sends the mails that wait. Never rejects. */
  close(): Promise<void>
}

export function openLog(config: LogConfig): OpenLog {
  const writer = createLineWriter(2, REQUEST_LINE_DELAY)
  const { level, formatter, reportCaller } = config
  // As registry:2 has them on each line: which of several, and since which start.
  const fields = { 'instance.id': crypto.randomUUID(), version, ...config.fields }
  const counts = { sent: 0, failed: 0 }
  const hooks: MailHook[] = []
  const hook = (entry: LogEntry) => {
    for (const { hook } of hooks) hook(entry)
  }
  const base = { level, formatter, fields, reportCaller, now: systemClock.now }
  const output = { write: writer.writeNow, writeLater: writer.write }
  const log = createLog({ ...base, ...output, ...(config.mails.length === 0 ? {} : { hook }) })
  // A mail that cannot be sent is no reason for another.
  const unmailed = createLog({ ...base, ...output })
  hooks.push(
    ...config.mails.map((mail) =>
      createMailHook(mail, {
        sent: () => counts.sent++,
        failed(error) {
          counts.failed++
          unmailed.error('a mail about the log cannot be sent', { server: `${mail.host}:${mail.port}`, error })
        },
      }),
    ),
  )
  return {
    log,
    count(metrics) {
      metrics.observed(
        'counter',
        'berth_log_mails_total',
        'Mails about lines of the log (log.hooks).',
        ['outcome'],
        () => (config.mails.length === 0 ? [] : Object.entries(counts).map(([outcome, count]) => [[outcome], count])),
      )
    },
    flush: writer.flush,
    async close() {
      await Promise.all(hooks.map((one) => one.close()))
      writer.flush()
    },
  }
}

/**
 * Makes the first administrator where there is none, and keeps a password that nobody chose in a file until it is changed.
 * Resolves to that password.
 */
export async function firstAdmin(
  ensureAdmin: (wanted: string | undefined) => Promise<string | undefined>,
  options: { wanted: string | undefined; passwordFile: string; log: Log },
): Promise<string | undefined> {
  const { wanted, passwordFile, log } = options
  const password = await ensureAdmin(wanted)
  if (password === undefined && wanted !== undefined) {
    log.warn('BERTH_ADMIN_PASSWORD only counts for a new registry; berth user passwd admin changes the password')
  }
  if (password === undefined || wanted !== undefined) return undefined
  writeSecret(passwordFile, `${password}\n`)
  return password
}

export function forgetPassword(passwordFile: string, name: string): void {
  if (name === 'admin') rmSync(passwordFile, { force: true })
}

export function existing(path: string): string | undefined {
  return Bun.file(path).size > 0 ? path : undefined
}

function writeSecret(path: string, text: string): void {
  rmSync(path, { force: true })
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  chmodSync(path, 0o600)
}
