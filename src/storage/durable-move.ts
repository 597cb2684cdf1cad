import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeDirectories, removeEmptyFolders, renameInto, syncDirectory } from './durable.ts'
import { errnoOf } from './fault.ts'

/**
 * Moves an object (or whatever is in its place: a link moves itself, not what it points to) to a name that nothing has; durable when
 * this returns. False when there is nothing to move.
 */
export function moveAway(from: string, to: string): boolean {
  makeDirectories(dirname(to), 0o700)
  try {
    renameSync(from, to)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
  // The new name first: after a power cut there may be both, never none.
  syncDirectory(dirname(to))
  syncDirectory(dirname(from))
  removeEmptyFolders(from)
  return true
}

/** Gives a file the name of an object, as a seal does; its bytes may have come a moment ago. False when it is not there. */
export function placeObject({ path, root, key }: { path: string; root: string; key: string }): boolean {
  if (!existsSync(path)) return false
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameInto(path, root, key)
  syncDirectory(dirname(path))
  return true
}
