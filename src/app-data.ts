import { accessSync, constants, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { restoreAdvice } from './app-damage.ts'
import { refuseLostDatabase } from './app-lost-database.ts'
import { refuseUnfinishedRestore } from './backup/marker.ts'
import { type Metadata, MetadataError } from './metadata/metadata.ts'
import { lockDirectory, ownerOf, refuseNetworkFileSystem } from './metadata/owner-lock.ts'
import { openSqlite } from './metadata/sqlite.ts'
import type { ClientOptions } from './metadata/sqlite-client.ts'
import { makeDirectories } from './storage/durable.ts'

export interface OwnedData {
  metadata: Metadata
  /** When the database was written last before this start, in milliseconds since the epoch; undefined: it is new. */
  lastUse: number | undefined
  /** Runs at `close`, the last one first. */
  closers: (() => Promise<void>)[]
  close(): Promise<void>
}

/**
 * Takes possession of a data directory, which is made when it is missing. `onOwned` runs before the database is opened.
 * @throws Error while another process has it.
 */
export async function openData(
  data: { directory: string; metadata: string },
  { onOwned, ...options }: ClientOptions & { onOwned?: () => void } = {},
): Promise<OwnedData> {
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    let failure: { error: unknown } | undefined
    // One that fails (a disk that broke) keeps none of the others from giving back what it has.
    for (const closer of closers.splice(0).reverse()) {
      try {
        await closer()
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }
  const database = resolve(data.metadata)
  const directories = new Set([resolve(data.directory), database])
  // Whoever may look into it may read every image; a directory that is there already keeps its mode.
  for (const directory of directories) makeDirectory(directory)
  refuseNetworkFileSystem(database)
  for (const directory of directories) refuseUnfinishedRestore(directory)
  try {
    for (const directory of directories) {
      const lock = lockDirectory(directory)
      if (lock === undefined) {
        const owner = ownerOf(directory)
        const which = owner === undefined ? '' : ` (process ${owner}: ps -fp ${owner} shows what it does)`
        throw new Error(
          `the data directory ${directory} is in use by another berth${which}; one process owns it at a time`,
        )
      }
      closers.push(async () => lock.release())
    }
    const path = join(database, 'berth.db')
    refuseFolder(path, 'the database')
    refuseLostDatabase({ directory: resolve(data.directory), metadata: database })
    const lastUse = lastWrite(path)
    onOwned?.()
    const metadata = await openSqlite({ path, ...options })
    closers.push(() => metadata.close())
    return { metadata, lastUse, closers, close }
  } catch (error) {
    await close()
    const advice = error instanceof MetadataError ? adviceOn(error, database) : undefined
    throw advice === undefined ? error : new Error(`${(error as Error).message}. ${advice}`, { cause: error })
  }
}

/** `database` is its folder. */
function adviceOn({ fault }: MetadataError, database: string): string | undefined {
  if (fault === 'corrupt') return `The database is damaged, and left as it is. ${restoreAdvice(database)}`
  // SQLite's own words for it are those of a disk that fails.
  if (fault === 'no-space') return `The disk of ${database} is full: make room on it, and start again`
  return undefined
}

/** What a crash left in the log of SQLite is newer than the file. */
function lastWrite(path: string): number | undefined {
  const times = [path, `${path}-wal`].flatMap((one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? [])
  return times.length === 0 ? undefined : Math.max(...times)
}

/**
 * What made it was most often a mount of a file that was not there, which Docker makes a folder of.
 * @throws Error where `path`, which is the file of `what`, is a folder
 */
export function refuseFolder(path: string, what: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return
  throw new Error(`${path} is a folder, and the file of ${what} belongs there: move it away, and start again`)
}

function makeDirectory(path: string): void {
  try {
    makeDirectories(path, 0o700)
    accessSync(path, constants.W_OK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    throw new Error(`the data directory ${path} ${FAULTS[code] ?? `cannot be used (${code})`}`, { cause: error })
  }
}

const CHOOSE = 'choose another with --data DIR or storage.filesystem.rootdirectory'

const FAULTS: Record<string, string> = {
  EEXIST: `is a file; ${CHOOSE}`,
  ENOTDIR: `lies below something that is a file; ${CHOOSE}`,
  EACCES: `may not be written by this user; change its owner, or ${CHOOSE}`,
  EPERM: `may not be written by this user; change its owner, or ${CHOOSE}`,
  EROFS: `is on a file system that is read-only; ${CHOOSE}`,
  ENOENT: `cannot be made where it is; ${CHOOSE}`,
  ENOSPC: 'cannot be made: the disk is full',
}
