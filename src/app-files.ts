import { readFileSync } from 'node:fs'
import { unreadable } from './config/files.ts'

/** The text of a file that a key of the configuration names. @throws Error with a text for the user. */
export function readGiven(key: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  const fault = unreadable(path)
  if (fault !== undefined) throw new Error(`${key}: ${path} ${fault}; name a file that this user may read`)
  return readFileSync(path, 'utf8')
}

/** The kernel's name for this boot; without one every process counts as a boot, which costs a re-read and nothing else. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return crypto.randomUUID()
  }
}
