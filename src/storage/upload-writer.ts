import { closeSync, ftruncateSync, writevSync } from 'node:fs'
import type { Algorithm, Digest } from '../oci/digest.ts'
import { openAtSize } from './durable.ts'
import { StorageError } from './storage.ts'
import { startWriteBack } from './write-back.ts'
import type { AppendStart } from './write-protocol.ts'

/** Hashes of uploads that wait for their next append. A few hundred bytes each. */
const MAX_RUNNING_HASHES = 1024

interface RunningHash {
  hash: Bun.CryptoHasher
  algorithm: Algorithm
  /** Bytes that the hash covers, from the first on. */
  size: number
}

/** What was hashed of an upload in earlier appends, least recently used first. */
const running = new Map<string, RunningHash>()

export interface UploadWriter {
  /** Writes all of it at the end of the file, or throws and leaves the file as it was before the append. */
  write(chunks: Uint8Array[]): number
  /** Ends the append. `digest` is undefined when the running hash does not begin at the first byte. */
  end(): { size: number; digest: Digest | undefined }
}

/** @throws StorageError `failed` when the file is gone or shorter than `from`; the system's own errors otherwise. */
export function openUpload({ id, path, from, algorithm }: AppendStart): UploadWriter {
  const fd = openAtSize(path, from)
  const hash = resumeHash(id, from, algorithm)
  let size = from

  const rollBack = () => {
    try {
      ftruncateSync(fd, from)
    } catch {
      // The next append cuts what is too much; what failed first is what the caller must hear of.
    } finally {
      closeSync(fd)
    }
  }

  return {
    write(chunks) {
      const start = size
      try {
        for (const chunk of chunks) hash?.update(chunk)
        size = writeAll(fd, chunks, size)
        startWriteBack(fd, start, size)
        return size - start
      } catch (error) {
        rollBack()
        throw error
      }
    },
    end() {
      closeSync(fd)
      if (hash === undefined) return { size, digest: undefined }
      keepHash(id, { hash, algorithm, size })
      return { size, digest: `${algorithm}:${hash.copy().digest('hex')}` }
    },
  }
}

function writeAll(fd: number, chunks: Uint8Array[], start: number): number {
  let position = start
  let rest = chunks.filter((chunk) => chunk.byteLength > 0)
  while (rest.length > 0) {
    let written = writevSync(fd, rest, position)
    if (written <= 0) throw new StorageError('failed', 'the system wrote nothing')
    position += written
    // A disk that is nearly full takes a part; the next call tells why.
    while (written > 0) {
      const first = rest[0]
      if (first === undefined) break
      if (written < first.byteLength) {
        rest[0] = first.subarray(written)
        break
      }
      written -= first.byteLength
      rest = rest.slice(1)
    }
  }
  return position
}

/** A copy, so that an append that fails leaves the hash of what came before. */
function resumeHash(id: string, from: number, algorithm: Algorithm): Bun.CryptoHasher | undefined {
  if (from === 0) return new Bun.CryptoHasher(algorithm)
  const known = running.get(id)
  return known?.size === from && known.algorithm === algorithm ? known.hash.copy() : undefined
}

function keepHash(id: string, hash: RunningHash): void {
  running.delete(id)
  running.set(id, hash)
  if (running.size <= MAX_RUNNING_HASHES) return
  const oldest = running.keys().next()
  if (!oldest.done) running.delete(oldest.value)
}

export function forgetHash(id: string): void {
  running.delete(id)
}
