import { existsSync, mkdtempSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
/** A container may have 64 MB of it, and a registry that has less than 2 GiB begins to care for its space. */
const ROOM = 3 * 1024 ** 3

/**
 * A new folder for what need not survive the machine: in memory where there is room, for a disk takes its time to sync. Tests of
 * what a crash or a full disk leaves belong on a disk.
 */
export function scratchFolder(prefix: string): string {
  return mkdtempSync(join(hasRoom() ? MEMORY : tmpdir(), prefix))
}

function hasRoom(): boolean {
  if (!existsSync(MEMORY)) return false
  const { bavail, bsize } = statfsSync(MEMORY)
  return bavail * bsize >= ROOM
}
