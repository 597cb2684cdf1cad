import type { Algorithm } from '../oci/digest.ts'
import type { Examined, Hashed, OnBytes } from './storage.ts'
import { createWriteThread, type WriteThread } from './write-thread.ts'

/**
 * A thread beside those of uploads, for work that nobody waits for: reading files wholly, looking at many, moving damaged ones. It starts
 * with the first such work. All paths are absolute.
 */
export interface ScanThread {
  hash(path: string, algorithm: Algorithm, onBytes: OnBytes): Promise<Hashed | undefined>
  examine(paths: readonly string[]): Promise<(Examined | undefined)[]>
  /** False when there is nothing to move. */
  move(from: string, to: string): Promise<boolean>
  place(path: string, root: string, key: string): Promise<boolean>
  close(): Promise<void>
}

export function createScanThread(thread: WriteThread = createWriteThread()): ScanThread {
  let ids = 0
  return {
    async hash(path, algorithm, onBytes) {
      const id = ++ids
      let size = 0
      for (;;) {
        const { read, digest, unreadable } = await thread.start({ kind: 'scan', id, path, algorithm }).result
        if (unreadable !== undefined) return { kind: 'unreadable', ...unreadable }
        if (read === undefined) return undefined
        size += read
        try {
          await onBytes(read)
        } catch (error) {
          if (digest === undefined) await thread.start({ kind: 'scan-end', id }).result
          throw error
        }
        if (digest !== undefined) return { kind: 'hashed', digest, size }
      }
    },
    async examine(paths) {
      return (await thread.start({ kind: 'examine', paths }).result).examined ?? []
    },
    async move(from, to) {
      return (await thread.start({ kind: 'move', from, to }).result).found === true
    },
    async place(path, root, key) {
      return (await thread.start({ kind: 'place', path, root, key }).result).found === true
    },
    close: () => thread.close(),
  }
}
