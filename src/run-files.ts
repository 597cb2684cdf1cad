import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { systemClock } from './app.ts'
import type { LogConfig } from './config/config.ts'
import { createLineWriter } from './telemetry/line-writer.ts'
import { createLog, type Log } from './telemetry/log.ts'

/** In the data directory, until the first administrator changes it. */
export const PASSWORD_FILE = 'berth-admin-password'

export function openLog(config: LogConfig): { log: Log; flush: () => void } {
  const writer = createLineWriter(2, 0)
  const { level, formatter, fields } = config
  return {
    log: createLog({ level, formatter, fields, now: systemClock.now, write: writer.write }),
    flush: writer.flush,
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
