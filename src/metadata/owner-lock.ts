import { Database as Connection } from 'bun:sqlite'
import { closeSync, existsSync, openSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MetadataError } from './metadata.ts'
import { codeOf, metadataError } from './sqlite-connection.ts'

export interface Lock {
  /** Gives the directory free. Calling it again does nothing. */
  release(): void
}

const LOCK_FILE = 'berth.lock'

/**
 * Makes this process the owner of a data directory, until `release` or the end of the process, however it ends.
 * Undefined when the directory has an owner already, be it this process.
 *
 * The lock is SQLite's own exclusive lock on an empty file, `berth.lock`: the kernel frees it with the process. The
 * process must not open that file in any other way, for closing it anywhere would free the lock (fcntl(2), POSIX).
 * @throws MetadataError when the file cannot be made.
 */
export function lockDirectory(directory: string): Lock | undefined {
  const path = join(directory, LOCK_FILE)
  try {
    return lockFile(path)
  } catch (error) {
    if (codeOf(error).startsWith('SQLITE_BUSY')) return undefined
    throw metadataError(`cannot lock the data directory with ${path}`, error)
  }
}

/** Whether nobody owns the directory at this moment. Makes nothing, unlike `lockDirectory`. */
export function isDirectoryFree(directory: string): boolean {
  if (!existsSync(join(directory, LOCK_FILE))) return true
  const lock = lockDirectory(directory)
  lock?.release()
  return lock !== undefined
}

/** The process that owns the directory, as far as the kernel tells (proc(5), /proc/locks; not across containers). */
export function ownerOf(directory: string): number | undefined {
  try {
    const { ino } = statSync(join(directory, LOCK_FILE))
    for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
      const [, , , access, pid, file = ''] = line.split(/\s+/)
      if (access === 'WRITE' && file.endsWith(`:${ino}`) && Number(pid) > 0) return Number(pid)
    }
  } catch {
    // Another system, or the file has just gone.
  }
  return undefined
}

function lockFile(path: string): Lock {
  makeFile(path)
  const connection = new Connection(path, { readwrite: true })
  try {
    connection.run('PRAGMA busy_timeout = 0')
    connection.run('PRAGMA locking_mode = EXCLUSIVE')
    // The journal of a lock has nothing to save, and a full disk must not keep a registry from starting.
    connection.run('PRAGMA journal_mode = MEMORY')
    connection.run('BEGIN EXCLUSIVE')
  } catch (error) {
    connection.close()
    throw error
  }
  return { release: () => connection.close() }
}

/** Only a file that is not there is opened here: a lock that this process holds on it would be lost. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** statfs(2), `f_type`; some kernels give the upper ones with their sign. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB 2'],
])

/**
 * Refuses a directory whose locks and shared memory may not hold between machines. One that is not there yet stands
 * for the nearest folder above it that is.
 * @throws MetadataError `failed`, with the remedy.
 */
export function refuseNetworkFileSystem(
  directory: string,
  typeOf: (path: string) => number = (path) => statfsSync(path).type,
): void {
  const kind = NETWORK_FILE_SYSTEMS.get(nearestType(resolve(directory), typeOf) >>> 0)
  if (kind === undefined) return
  throw new MetadataError(
    'failed',
    `${directory} is on a network file system (${kind}), where a database is not safe: ` +
      'set metadata.path to a directory on a local disk; blobs may stay where they are',
  )
}

function nearestType(path: string, typeOf: (path: string) => number): number {
  try {
    return typeOf(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    return nearestType(dirname(path), typeOf)
  }
}
