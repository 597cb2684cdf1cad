import { closeSync, constants, openSync } from 'node:fs'
import { openCLibrary } from '../files/c-library.ts'
import { StorageError } from './storage.ts'

/**
 * Everything that was written to the file system of the folder is on its disk when this returns (syncfs(2)): for a
 * hundred thousand small files, each of whose own fsync would cost milliseconds.
 * @throws StorageError where the kernel tells that something did not get there.
 */
export function syncFileSystem(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const syncfs = openCLibrary({ syncfs: { args: ['i32'], returns: 'i32' } })?.syncfs
    const failed = syncfs === undefined ? Bun.spawnSync(['sync', '-f', folder]).exitCode !== 0 : syncfs(fd) !== 0
    if (failed) throw new StorageError('failed', `cannot sync the file system of ${folder}`)
  } finally {
    closeSync(fd)
  }
}
