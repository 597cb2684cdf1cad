import { type StatsFs, statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'

/** The file system of a folder. */
export interface FreeSpace {
  /** Bytes that this program may still write. */
  free: number
  /** Bytes. */
  size: number
  /** Files that can still be made (inodes). */
  freeFiles: number
}

/** At once, in some microseconds: for what must be known before a request goes on. @throws Error with the code of the system. */
export function freeSpaceNow(path: string): FreeSpace {
  return freeSpaceIn(statfsSync(path))
}

/** Where nobody waits: a file system that hangs holds up a thread of the pool alone. @throws Error with the code of the system. */
export async function freeSpace(path: string): Promise<FreeSpace> {
  return freeSpaceIn(await statfs(path))
}

function freeSpaceIn({ bavail, bsize, blocks, ffree }: StatsFs): FreeSpace {
  return { free: bavail * bsize, size: blocks * bsize, freeFiles: ffree }
}

/** Bytes that a limit means on a file system of `size` bytes. */
export function bytesOfLimit(limit: { bytes: number } | { percent: number }, size: number): number {
  return 'bytes' in limit ? limit.bytes : (size * limit.percent) / 100
}
