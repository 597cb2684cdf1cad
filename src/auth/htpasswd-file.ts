import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Attempts when another program changes the file at the same time. */
const ATTEMPTS = 10

/** Bytes of a file, as latin1; undefined when there is none. @throws Error with a text for the user */
export function readHtpasswdFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw fault(path, error)
  }
}

/**
 * Replaces the content of a file in one step: whoever reads it sees the old or the new one, and a power cut leaves one of the
 * two. Mode and owner stay; a new file is its owner's alone (0600). What a link names is replaced, not the link.
 * @param change the new text of the old one ('' for a file that is not there), or undefined for no change; called again when
 *   the file was changed meanwhile
 * @throws Error with a text for the user
 */
export function changeHtpasswdFile(path: string, change: (text: string) => string | undefined): { made: boolean } {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = statOf(path)
    const text = change(before === undefined ? '' : (readHtpasswdFile(path) ?? ''))
    if (text === undefined) return { made: false }
    try {
      if (isReplaced(path, Buffer.from(text, 'latin1'), before)) return { made: before === undefined }
    } catch (error) {
      throw fault(path, error)
    }
  }
  throw new Error(`${path} is being changed by another program all the time; nothing is changed`)
}

/** False when the file is no longer the one of `before`. */
function isReplaced(path: string, bytes: Buffer, before: Stats | undefined): boolean {
  const target = before === undefined ? path : realpathSync(path)
  const draft = join(dirname(target), `.${basename(target)}.${process.pid}.new`)
  try {
    writeDraft(draft, bytes, before)
    if (stampOf(statOf(path)) !== stampOf(before)) return false
    renameSync(draft, target)
    syncFolder(dirname(target))
    return true
  } catch (error) {
    // The folder may not be ours to write, the owner not ours to keep, and a file that is mounted by itself (a volume of a
    // container) cannot be replaced: what is left is to write into it.
    if (before === undefined || !['EACCES', 'EPERM', 'EROFS', 'EBUSY'].includes(codeOf(error))) throw error
    overwrite(target, bytes)
    return true
  } finally {
    removeDraft(draft)
  }
}

function writeDraft(draft: string, bytes: Buffer, before: Stats | undefined): void {
  removeDraft(draft)
  const fd = openSync(draft, 'wx', 0o600)
  try {
    writeFileSync(fd, bytes)
    if (before !== undefined) {
      const own = fstatSync(fd)
      if (own.uid !== before.uid || own.gid !== before.gid) fchownSync(fd, before.uid, before.gid)
      fchmodSync(fd, before.mode & 0o7777)
    }
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function overwrite(target: string, bytes: Buffer): void {
  const fd = openSync(target, 'r+')
  try {
    // The new bytes before the end is cut: a reader may see a tail of the old ones, but never an empty file.
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, done)
    ftruncateSync(fd, bytes.length)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true })
  } catch {
    // It could not be made either, where it cannot be removed.
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw fault(path, error)
  }
}

function stampOf(stats: Stats | undefined): string {
  return stats === undefined ? '' : `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

const FAULTS: Record<string, string> = {
  EACCES: 'may not be read or written by this user',
  EPERM: 'may not be changed by this user',
  EROFS: 'is on a file system that is read-only',
  EISDIR: 'is a folder, not a file',
  ENOENT: 'is in a folder that does not exist',
  ENOTDIR: 'lies below something that is a file',
  ENOSPC: 'cannot be written: the disk is full',
  ELOOP: 'is a link that leads round in a circle',
}

function fault(path: string, error: unknown): Error {
  const reason = FAULTS[codeOf(error)]
  if (reason === undefined) return error instanceof Error ? error : new Error(String(error))
  return new Error(`${path} ${reason}; nothing is changed`, { cause: error })
}
