import { dlopen } from 'bun:ffi'
import { closeSync, constants, openSync } from 'node:fs'
import { StorageError } from './storage.ts'

/** The C library as the loader names it: glibc, musl. */
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']

/**
 * Everything that was written to the file system of the folder is on its disk when this returns (syncfs(2)): for a
 * hundred thousand small files, each of whose own fsync would cost milliseconds.
 * @throws StorageError where the kernel tells that something did not get there.
 */
export function syncFileSystem(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const syncfs = load()
    const failed = syncfs === undefined ? Bun.spawnSync(['sync', '-f', folder]).exitCode !== 0 : syncfs(fd) !== 0
    if (failed) throw new StorageError('failed', `cannot sync the file system of ${folder}`)
  } finally {
    closeSync(fd)
  }
}

function load() {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, { syncfs: { args: ['i32'], returns: 'i32' } }).symbols.syncfs
    } catch {
      // Another library, then.
    }
  }
  return undefined
}
