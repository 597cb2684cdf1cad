import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { overlapOf } from '../export/overlap.ts'
import { createPlaces } from '../export/place.ts'
import { type Lock, lockDirectory } from '../metadata/owner-lock.ts'
import { dropUploads, openSnapshot, type Snapshot } from '../metadata/snapshot.ts'
import type { Digest } from '../oci/digest.ts'
import { isBlobKey } from '../storage/blob-path.ts'
import { makeDirectories, syncDirectory } from '../storage/durable.ts'
import { syncFileSystem } from '../storage/sync-file-system.ts'
import { type Amount, add, DATABASE, eachBlob, FILES, IGNORED, none, type Progress, SNAPSHOTS } from './backup.ts'
import { BackupError, explained } from './backup-error.ts'
import { hashFile } from './hash-file.ts'
import { readKept, writeKept } from './kept-files.ts'
import { isRestored, type Missing, markRestore, markRestored, RESTORE_FILE, readMarker } from './marker.ts'

export interface RestoreOptions {
  /** Absolute: the backup. */
  from: string
  /** Absolute: where blobs and keys go; empty, or not there. */
  storage: string
  /** Absolute: where the database goes; empty, not there, or `storage`. */
  database: string
  /** Hashes every blob before anything is written. */
  verify: boolean
  /** Restores the rest when some blobs are damaged or missing in the backup. */
  incomplete: boolean
  progress: Progress
}

export interface RestoreReport {
  from: string
  data: string
  /** RFC 3339: of the backup. */
  at: string
  blobs: number
  bytes: number
  linked: Amount
  copied: Amount
  present: Amount
  /** Blobs whose bytes the backup does not have: damaged there, or missing in the registry already. */
  missing: Missing[]
}

/** Faults that an error names one by one. */
const SHOWN = 10
const DRAFT = `${DATABASE}.restoring`
const TEMPORARY = '.berth-restore'

/**
 * Makes a data directory of a backup. Everything is checked before anything is written; the database comes last, and a file
 * keeps `berth serve` from what is not complete. One that was cut short goes on when it is run again.
 * @throws BackupError
 */
export async function runRestore(options: RestoreOptions): Promise<RestoreReport> {
  const { from, storage, database } = options
  const locks: Lock[] = []
  try {
    const marker = readMarker(from)
    if (!existsSync(from)) throw new BackupError(`there is no folder ${from}`)
    if (marker === undefined) throw new BackupError(`${from} holds no backup: there is no marker of berth backup in it`)
    if (marker.snapshot === undefined || marker.at === undefined) {
      throw new BackupError(`no backup was completed in ${from}; run berth backup again`)
    }
    const targets = [...new Set([storage, database])]
    for (const target of targets) {
      requireApart(target, from)
      // Cut short between the two folders, it left one that is whole.
      if (target === storage || !isRestored(storage, target)) requireEmpty(target)
    }
    locks.push(...lockSource(from))
    const folder = join(from, SNAPSHOTS, marker.snapshot)
    const snapshot = openChecked(join(folder, DATABASE))
    try {
      const missing = await check(snapshot, options, new Set(marker.missing?.map(({ digest }) => digest)))
      for (const target of targets) {
        makeDirectories(target, 0o700)
        locks.push(lockTarget(target))
        markRestore(target)
      }
      const report: RestoreReport = {
        ...{ from, data: storage, at: marker.at, blobs: 0, bytes: 0, missing },
        ...{ linked: none(), copied: none(), present: none() },
      }
      await fill(snapshot, folder, options, report)
      return report
    } finally {
      snapshot.close()
    }
  } catch (error) {
    throw explained(error, `cannot restore ${from} to ${storage}`, 'Mend that and run the same command again')
  } finally {
    for (const lock of locks) lock.release()
  }
}

/** @throws BackupError */
function requireApart(target: string, from: string): void {
  if (overlapOf(target, from) === undefined) return
  throw new BackupError(`${target} and the backup ${from} lie one within the other; name another data directory`)
}

/** @throws BackupError unless it is empty, not there, or what an interrupted restore left. */
function requireEmpty(target: string): void {
  const found = statSync(target, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isDirectory()) throw new BackupError(`${target} is a file; name a folder that is empty, or not there yet`)
  const names = readdirSync(target)
  if (names.includes(RESTORE_FILE)) return
  const other = names.find((name) => !IGNORED.has(name))
  if (other === undefined) return
  throw new BackupError(
    `${target} is not empty (${other}). A restore makes a new data directory: name one that is empty, or not there yet`,
  )
}

/** A backup on a medium that cannot be written needs no lock: no backup runs there. */
function lockSource(from: string): Lock[] {
  try {
    accessSync(from, constants.W_OK)
  } catch {
    return []
  }
  const lock = lockDirectory(from)
  if (lock === undefined) throw new BackupError(`${from} is in use: a backup or another restore runs there`)
  return [lock]
}

function lockTarget(target: string): Lock {
  const lock = lockDirectory(target)
  if (lock === undefined) throw new BackupError(`${target} is in use by another berth`)
  return lock
}

function openChecked(path: string): Snapshot {
  const snapshot = openSnapshot(path)
  try {
    const faults = snapshot.faults()
    if (faults.length === 0) return snapshot
    throw new BackupError(`the database of the backup is damaged (${path}): ${faults.slice(0, SHOWN).join('; ')}`)
  } catch (error) {
    snapshot.close()
    throw error
  }
}

/**
 * Blobs whose bytes are not in the backup as they should be.
 * @throws BackupError where there are some that the registry had, unless the rest is wanted.
 */
async function check(
  snapshot: Snapshot,
  { from, verify, incomplete, progress }: RestoreOptions,
  known: ReadonlySet<Digest>,
): Promise<Missing[]> {
  const { count, bytes } = await snapshot.total()
  // Hashing reads everything once more.
  progress.total({ items: verify ? count * 2 : count, bytes: verify ? bytes * 2 : bytes })
  const missing: Missing[] = []
  for await (const { digest, size, key } of eachBlob(snapshot)) {
    if (!isBlobKey(key)) {
      // Who changed that could have files read and written anywhere, now and by every pull.
      throw new BackupError(
        `the database of the backup in ${from} was changed: ${digest} is at ${key}, where no blob is`,
      )
    }
    const path = join(from, key)
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined || !found.isFile()) missing.push({ digest, detail: `${key} is not there` })
    else if (found.size !== size) missing.push({ digest, detail: `${key} has ${found.size} bytes in place of ${size}` })
    else if (verify && (await hashFile(path, digest, progress.bytes)) !== digest) {
      missing.push({ digest, detail: `${key} has other bytes than its digest says` })
    }
    if (verify) progress.item()
  }
  const damaged = missing.filter(({ digest }) => !known.has(digest))
  if (damaged.length === 0 || incomplete) return missing
  const shown = damaged.slice(0, SHOWN).map(({ digest, detail }) => `\n  ${digest}: ${detail}`)
  const more = damaged.length > SHOWN ? `\n  and ${damaged.length - SHOWN} more` : ''
  throw new BackupError(
    `the backup in ${from} is damaged; nothing was restored. --incomplete restores all but these:${shown.join('')}${more}`,
  )
}

async function fill(
  snapshot: Snapshot,
  folder: string,
  { from, storage, database, progress }: RestoreOptions,
  report: RestoreReport,
): Promise<void> {
  const temporary = join(storage, TEMPORARY)
  rmSync(temporary, { recursive: true, force: true })
  makeDirectories(temporary, 0o700)
  const places = createPlaces({ temporary, dryRun: false })
  const missing = new Set(report.missing.map(({ digest }) => digest))
  for await (const { digest, size, key } of eachBlob(snapshot)) {
    if (missing.has(digest)) continue
    let told = 0
    const placed = await places.blob(join(from, key), join(storage, key), size, (more) => {
      told += more
      progress.bytes(more)
    })
    if (placed === 'missing') throw new BackupError(`${key} went away from ${from} while it was being restored`)
    progress.bytes(size - told)
    progress.item()
    add(report[placed], size)
    report.blobs++
    report.bytes += size
  }
  rmSync(temporary, { recursive: true, force: true })
  await writeKept(storage, readKept(join(folder, FILES)))
  await copyDatabase(join(folder, DATABASE), database)
  syncFileSystem(storage)
  if (database !== storage) markRestored(storage, database)
  for (const target of new Set([database, storage])) {
    rmSync(join(target, RESTORE_FILE))
    syncDirectory(target)
  }
}

/** A copy, never a link: what is served is written to. */
async function copyDatabase(from: string, database: string): Promise<void> {
  const draft = join(database, DRAFT)
  for (const name of [DRAFT, `${DRAFT}-journal`, `${DRAFT}-wal`, `${DRAFT}-shm`]) {
    rmSync(join(database, name), { force: true })
  }
  copyFileSync(from, draft)
  chmodSync(draft, 0o600)
  await dropUploads(draft)
  syncFileSystem(database)
  renameSync(draft, join(database, DATABASE))
  syncDirectory(database)
}
