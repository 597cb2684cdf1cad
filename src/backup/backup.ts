import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { overlapOf } from '../export/overlap.ts'
import { createPlaces, type Places } from '../export/place.ts'
import type { StoredBlob } from '../metadata/metadata.ts'
import { lockDirectory } from '../metadata/owner-lock.ts'
import { openSnapshot, type Snapshot } from '../metadata/snapshot.ts'
import type { Digest } from '../oci/digest.ts'
import { listBlobs } from '../storage/blob-walk.ts'
import { makeDirectories, syncDirectory, unlinkObject } from '../storage/durable.ts'
import { syncFileSystem } from '../storage/sync-file-system.ts'
import { BackupError, explained } from './backup-error.ts'
import { readKept, writeKept } from './kept-files.ts'
import { MARKER_FILE, type Missing, readMarker, writeMarker } from './marker.ts'

export const SNAPSHOTS = 'snapshots'
export const DATABASE = 'berth.db'
export const FILES = 'files'
const TEMPORARY = '.tmp'
/** Rows read at once. */
const PAGE = 500

export interface BackupOptions {
  /** Takes a snapshot of the database; until its `end`, nothing unlinks the bytes of what it names. */
  snapshot(): Promise<HeldSnapshot>
  /** Absolute: keys of blobs are paths below it. */
  storage: string
  /** Absolute: where the database is. */
  database: string
  /** Absolute; made when it is not there. */
  directory: string
  /** Even where the folder has the backup of another registry, which goes. */
  replace: boolean
  progress: Progress
}

export interface HeldSnapshot {
  /** Absolute. */
  path: string
  /** Milliseconds since the epoch: it has all that was acknowledged before. */
  at: number
  /** Whether the bytes of what it names were held all the time until now. */
  isHeld(): Promise<boolean>
  end(): Promise<void>
}

/** Hears how far a backup or restore is. */
export interface Progress {
  total(of: { items: number; bytes: number }): void
  bytes(count: number): void
  item(): void
}

export interface Amount {
  files: number
  bytes: number
}

export interface BackupReport {
  directory: string
  /** RFC 3339. */
  at: string
  /** Bytes of the database. */
  database: number
  blobs: number
  bytes: number
  linked: Amount
  copied: Amount
  present: Amount
  /** What the backup before had, and this one does not name. */
  removed: Amount
  /** Blobs whose bytes the registry itself does not have. */
  missing: Missing[]
}

/**
 * Copies a registry into a folder, where the backup before stays whole until this one is: blobs, which never change, are
 * added; the snapshot gets a folder of its own; the marker, replaced at the end, says which snapshot counts; then goes
 * what that does not name.
 * @throws BackupError
 */
export async function runBackup(options: BackupOptions): Promise<BackupReport> {
  const { directory, storage, database, replace, progress } = options
  const doing = `cannot back up to ${directory}`
  try {
    for (const own of new Set([storage, database])) refuseOverlap(directory, own)
    const lock = openTarget(directory)
    try {
      const held = await options.snapshot()
      try {
        return await fill(held, { directory, storage, replace, progress })
      } finally {
        await held.end()
      }
    } finally {
      lock.release()
    }
  } catch (error) {
    throw explained(error, doing, 'The backup before is as it was; back up again, what is there already is kept')
  }
}

function refuseOverlap(directory: string, own: string): void {
  if (overlapOf(directory, own) === undefined) return
  throw new BackupError(
    `${directory} and the data directory ${own} lie one within the other; name another folder, best on another disk`,
  )
}

/** Makes the folder Berth's, or finds that it is. @throws BackupError when it is anything else. */
function openTarget(directory: string) {
  const found = statSync(directory, { throwIfNoEntry: false })
  if (found !== undefined && !found.isDirectory()) throw new BackupError(`${directory} is a file; name a folder`)
  // A disk that is not mounted, perhaps.
  if (found === undefined && lstatSync(directory, { throwIfNoEntry: false }) !== undefined)
    throw new BackupError(`${directory} is a link that leads nowhere`)
  // Whoever may look into it may read every image.
  if (found === undefined) makeDirectories(directory, 0o700)
  if (readMarker(directory) === undefined) {
    const other = readdirSync(directory).find((name) => !IGNORED.has(name))
    if (other !== undefined) {
      throw new BackupError(
        `${directory} holds something else (${other}). Name a folder that is empty, not there yet, or of an earlier backup`,
      )
    }
  }
  const lock = lockDirectory(directory)
  if (lock === undefined) throw new BackupError(`${directory} is in use: another backup or restore runs there`)
  try {
    if (readMarker(directory) === undefined) writeMarker(directory, {})
  } catch (error) {
    lock.release()
    throw error
  }
  return lock
}

/** What does not make a folder somebody's: our lock, a draft of our marker, and the top of a file system. */
export const IGNORED: ReadonlySet<string> = new Set(['berth.lock', `.${MARKER_FILE}.new`, 'lost+found'])

async function fill(
  held: HeldSnapshot,
  { directory, storage, replace, progress }: Pick<BackupOptions, 'directory' | 'storage' | 'replace' | 'progress'>,
): Promise<BackupReport> {
  const at = new Date(held.at).toISOString()
  const name = at.replace(/[:.]/g, '-')
  const temporary = join(directory, TEMPORARY)
  const folder = join(directory, SNAPSHOTS, name)
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { mode: 0o700 })
  const before = readMarker(directory)?.snapshot
  removeOthers(directory, before)
  makeDirectories(folder, 0o700)
  const places = createPlaces({ temporary, dryRun: false })
  const database = statSync(held.path).size
  const placed = await places.blob(held.path, join(folder, DATABASE), database, () => {})
  if (placed === 'missing') throw gone()
  await writeKept(join(folder, FILES), readKept(storage))
  const snapshot = openSnapshot(join(folder, DATABASE))
  try {
    if (before !== undefined && !replace && isOfAnother(snapshot, join(directory, SNAPSHOTS, before, DATABASE))) {
      removeOthers(directory, before)
      throw new BackupError(
        `${directory} has the backup of another registry, which this one would take the place of. Name another folder; ` +
          'or add --replace, if that registry is gone for good (its database was made anew, perhaps)',
      )
    }
    const report: BackupReport = {
      ...{ directory, at, database, blobs: 0, bytes: 0, missing: [] },
      ...{ linked: none(), copied: none(), present: none(), removed: none() },
    }
    await placeBlobs(snapshot, { directory, storage, progress, places, report })
    if (report.missing.length > 0 && !(await held.isHeld())) throw gone()
    syncFileSystem(directory)
    const { blobs, bytes, missing } = report
    writeMarker(directory, { snapshot: name, at, blobs, bytes, missing })
    // From here on this is the backup.
    removeOthers(directory, name)
    rmSync(temporary, { recursive: true, force: true })
    report.removed = await removeUnnamed(directory, snapshot)
    return report
  } finally {
    snapshot.close()
  }
}

/** Whether a backup is of another registry; where its database cannot be read, nothing of it can be restored. */
function isOfAnother(snapshot: Snapshot, database: string): boolean {
  if (!existsSync(database)) return false
  try {
    const before = openSnapshot(database)
    before.close()
    return before.bornAt !== snapshot.bornAt
  } catch {
    return false
  }
}

/** The server was stopped, and what was started since has collected some of what the snapshot names. */
function gone(): BackupError {
  return new BackupError('the server has ended, and blobs were collected since. Back up again: what is there is kept')
}

async function placeBlobs(
  snapshot: Snapshot,
  given: Pick<BackupOptions, 'directory' | 'storage' | 'progress'> & { places: Places; report: BackupReport },
): Promise<void> {
  const { directory, storage, progress, places, report } = given
  const { count, bytes } = await snapshot.total()
  progress.total({ items: count, bytes })
  for await (const { digest, size, key } of eachBlob(snapshot)) {
    let told = 0
    const placed = await places.blob(join(storage, key), join(directory, key), size, (more) => {
      told += more
      progress.bytes(more)
    })
    progress.bytes(size - told)
    progress.item()
    if (placed === 'missing') {
      const there = existsSync(join(storage, key))
      report.missing.push({ digest, detail: `${key} ${there ? `has another size than ${size}` : 'is not there'}` })
      continue
    }
    add(report[placed], size)
    report.blobs++
    report.bytes += size
  }
}

export async function* eachBlob(snapshot: Snapshot): AsyncGenerator<StoredBlob> {
  let last: Digest | undefined
  for (;;) {
    const page = await snapshot.blobs({ last, limit: PAGE })
    yield* page
    last = page.at(-1)?.digest
    if (page.length < PAGE || last === undefined) return
  }
}

/** Snapshots that a backup left half done, or that do not count any more. */
function removeOthers(directory: string, kept: string | undefined): void {
  const folder = join(directory, SNAPSHOTS)
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    if (name !== kept) rmSync(join(folder, name), { recursive: true, force: true })
  }
  syncDirectory(folder)
}

async function removeUnnamed(directory: string, snapshot: Snapshot): Promise<Amount> {
  const removed = none()
  for await (const { key, digest, size } of listBlobs(directory)) {
    if (digest !== undefined && (await snapshot.keyOf(digest)) === key) continue
    if (unlinkObject(join(directory, key))) add(removed, size)
  }
  return removed
}

export function none(): Amount {
  return { files: 0, bytes: 0 }
}

export function add(amount: Amount, size: number): void {
  amount.files++
  amount.bytes += size
}
