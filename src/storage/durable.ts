import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from './fault.ts'
import { StorageError } from './storage.ts'
import type { SealRequest } from './write-protocol.ts'

/** How often to make directories again that `unlinkObject` removes under our hands. */
const MAX_ATTEMPTS = 10_000

/** Directories of a digest and of a shard come and go with their content; nothing removes those above. */
const REMOVABLE_LEVELS = 2

/** Directories that last and whose entry in their parent this thread has synced. */
const lasting = new Set<string>()

/** `mkdir -p`, durable when it returns. `mode` is that of the directories that it makes. */
export function makeDirectories(path: string, mode = 0o777): void {
  const first = mkdirSync(path, { recursive: true, mode })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made))
}

/**
 * Moves the file at `path` to `root`/`key`; when this returns, bytes and name survive a power cut.
 *
 * The order is what makes it safe: bytes first, then the name, then the directories that lead to it. All of them are
 * synced, not only those made here: one that is there already may have been made a moment ago, by an upload that has
 * not synced it yet. Syncing a clean directory costs next to nothing.
 * @throws StorageError `failed` when the file is gone or has fewer than `size` bytes; the system's own errors otherwise.
 */
export function durableRename({ path, size, root, key }: SealRequest): void {
  syncBytes(path, size)
  renameInto(path, root, key)
}

/** The part of `durableRename` that comes after the bytes. */
export function renameInto(path: string, root: string, key: string): void {
  const target = join(root, key)
  for (let attempt = 1; !moved(path, target); attempt++) {
    if (attempt === MAX_ATTEMPTS)
      throw new StorageError('failed', `directories of ${key} vanish as fast as they are made`)
  }
  syncDirectories(target, root)
}

function syncBytes(path: string, size: number): void {
  const fd = openAtSize(path, size)
  try {
    fsyncSync(fd)
  } catch (error) {
    // The kernel tells of a failed write-back once: a second fsync would call bytes safe that are lost. So the upload goes.
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * Opens an upload's file for writing. Bytes beyond `size` are cut off: they came just before a crash, and as no row
 * tells of them, nobody was told that they are kept.
 * @throws StorageError `failed` when the file is gone or has fewer than `size` bytes.
 */
export function openAtSize(path: string, size: number): number {
  let fd: number
  try {
    fd = openSync(path, constants.O_WRONLY)
  } catch (error) {
    throw errnoOf(error) === 'ENOENT' ? gone(error) : error
  }
  try {
    const found = fstatSync(fd).size
    if (found < size) throw new StorageError('failed', `the upload has ${found} bytes, not ${size}: some were lost`)
    if (found > size) ftruncateSync(fd, size)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function gone(cause?: unknown): StorageError {
  return new StorageError('failed', 'the bytes of the upload are gone', cause)
}

/** False when directories of the target went away meanwhile: try again. @throws StorageError when there is nothing to move. */
function moved(from: string, target: string): boolean {
  try {
    mkdirSync(dirname(target), { recursive: true })
    renameSync(from, target)
    return true
  } catch (error) {
    const code = errnoOf(error)
    // EEXIST: it was there, and gone again when mkdir looked what it is.
    const hasVanished = code === 'ENOENT' || (code === 'EEXIST' && !isFile(dirname(target)))
    if (!hasVanished) throw error
    if (!existsSync(from)) throw gone(error)
    return false
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function syncDirectories(target: string, root: string): void {
  let entry = target
  for (let level = 0; entry !== root; level++) {
    const directory = dirname(entry)
    if (level <= REMOVABLE_LEVELS) syncDirectory(directory)
    else if (!lasting.has(entry)) {
      syncDirectory(directory)
      lasting.add(entry)
    }
    entry = directory
  }
}

/** Makes the entries of a directory survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Unlinks an object and those directories of it (digest, then shard) that are empty then; false when there was none. */
export function unlinkObject(path: string): boolean {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
  removeEmptyFolders(path)
  return true
}

/** Those of an object (digest, then shard) that are empty, now that it is gone. */
export function removeEmptyFolders(path: string): void {
  let directory = dirname(path)
  for (let level = 0; level < REMOVABLE_LEVELS; level++) {
    try {
      rmdirSync(directory)
    } catch {
      // Not empty: other bytes live there, or came in the meantime.
      break
    }
    directory = dirname(directory)
  }
}
