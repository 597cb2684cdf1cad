import { randomFillSync } from 'node:crypto'
import { closeSync, constants, fstatSync, ftruncateSync, openSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { openCLibrary } from './c-library.ts'

/** In the folder of the database. The name is for whoever finds it on a full disk. */
export const RESERVE_FILE = 'berth-reserve-safe-to-delete'

/** Bytes of a write where the file system cannot be told to set blocks aside. */
const STEP = 1024 * 1024
/** What `st_blocks` counts in, whatever the file system's blocks are (inode(7)). */
const BLOCK = 512

/** Space that is set aside by a file with blocks of its own, and is there again the moment that the file is removed. */
export interface ReserveFile {
  /** Bytes that it has on the disk; 0 when it is not there. One with holes in it (a copy) has fewer than its size. */
  held(): number
  /** Makes it `size` bytes large, none of them a hole. @throws Error with the code of the system; it is gone then. */
  make(size: number): Promise<void>
  /** Removes it; false when it was not there, or cannot be removed. */
  release(): boolean
}

export function createReserveFile(folder: string): ReserveFile {
  const path = join(folder, RESERVE_FILE)
  const held = () => {
    const found = statSync(path, { throwIfNoEntry: false })
    return found === undefined ? 0 : Math.min(found.size, found.blocks * BLOCK)
  }
  const release = () => {
    const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined
    try {
      rmSync(path, { force: true })
      return isThere
    } catch {
      return false
    }
  }
  return {
    held,
    release,
    async make(size) {
      try {
        allocate(path, size)
        // No fallocate(2) here, or one that sets nothing aside (some file systems compress).
        if (held() < size) await write(path, size)
      } catch (error) {
        release()
        throw error
      }
    },
  }
}

/** fallocate(2), which also fills holes that are there. Where it fails, nothing is said: the blocks are counted afterwards. */
function allocate(path: string, size: number): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const functions = { fallocate: { args: ['i32', 'i32', 'i64', 'i64'], returns: 'i32' } } as const
    openCLibrary(functions)?.fallocate(fd, 0, 0, size)
    if (fstatSync(fd).size > size) ftruncateSync(fd, size)
  } finally {
    closeSync(fd)
  }
}

/** Bytes that no file system can make smaller. */
async function write(path: string, size: number): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    const chunk = new Uint8Array(STEP)
    for (let position = 0; position < size; position += STEP) {
      randomFillSync(chunk)
      await file.writeFile(chunk.subarray(0, Math.min(STEP, size - position)))
    }
    await file.sync()
  } finally {
    await file.close()
  }
}
