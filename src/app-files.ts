import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The text of a file that a key of the configuration names. @throws Error with a text for the user. */
export function readGiven(key: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  requireReadable(key, path, 'name a file that this user may read')
  return readFileSync(path, 'utf8')
}

/** @throws Error with a text for the user, ending with the remedy. */
export function requireReadable(key: string, path: string, remedy: string): void {
  try {
    readFileSync(path)
  } catch (error) {
    const reason =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read'
    throw new Error(`${key}: ${path} ${reason}; ${remedy}`, { cause: error })
  }
}

/** The kernel's name for this boot; without one every process counts as a boot, which costs a re-read and nothing else. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return randomUUID()
  }
}
