import { read } from 'bun:ffi'
import { closeSync, constants, openSync } from 'node:fs'
import { openCLibrary } from '../files/c-library.ts'

export interface FolderLock {
  release(): void
}

/** flock(2). */
const LOCK_EX = 2
const LOCK_NB = 4
const EWOULDBLOCK = 11

/**
 * Makes its caller the only one at work in a folder, until `release` or the end of the process; undefined where another one
 * is, be it this process. The lock is on the folder itself, and leaves no file behind. Where none is to be had (some network
 * file systems), nobody is kept out.
 * @throws Error with the code of the system where the folder cannot be opened
 */
export function lockFolder(folder: string): FolderLock | undefined {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  const library = openCLibrary({
    flock: { args: ['i32', 'i32'], returns: 'i32' },
    __errno_location: { args: [], returns: 'ptr' },
  })
  const isHeld =
    library !== undefined &&
    library.flock(fd, LOCK_EX | LOCK_NB) !== 0 &&
    // Nothing comes between the two calls that would set it anew.
    read.i32(library.__errno_location() ?? 0) === EWOULDBLOCK
  if (!isHeld) return { release: () => closeSync(fd) }
  closeSync(fd)
  return undefined
}
