import { dlopen, read } from 'bun:ffi'
import { closeSync, constants, openSync } from 'node:fs'

export interface FolderLock {
  release(): void
}

/** The C library as the loader names it: glibc, musl. */
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']
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
  const library = load()
  const isHeld =
    library !== undefined &&
    library.flock(fd, LOCK_EX | LOCK_NB) !== 0 &&
    // Nothing comes between the two calls that would set it anew.
    read.i32(library.__errno_location() ?? 0) === EWOULDBLOCK
  if (!isHeld) return { release: () => closeSync(fd) }
  closeSync(fd)
  return undefined
}

function load() {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, {
        flock: { args: ['i32', 'i32'], returns: 'i32' },
        __errno_location: { args: [], returns: 'ptr' },
      }).symbols
    } catch {
      // Another library, then.
    }
  }
  return undefined
}
