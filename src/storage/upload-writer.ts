import { closeSync, ftruncateSync, writevSync } from 'node:fs'
import type { Digest } from '../oci/digest.ts'
import { openAtSize } from './durable.ts'
import type { RunningHashes } from './running-hash.ts'
import { StorageError } from './storage.ts'
import { startWriteBack } from './write-back.ts'
import type { AppendStart } from './write-protocol.ts'

export interface UploadWriter {
  /** Writes all of it at the end of the file and returns its bytes, or throws and leaves the file as it was before the append. */
  write(chunks: Uint8Array[]): number
  /** Ends the append. `digest` is undefined when the running hash does not begin at the first byte. */
  end(): { size: number; digest: Digest | undefined }
}

/** @throws StorageError `failed` when the file is gone or shorter than `from`; the system's own errors otherwise. */
export function openUpload({ id, path, from, algorithm }: AppendStart, hashes: RunningHashes): UploadWriter {
  const fd = openAtSize(path, from)
  const hash = hashes.resume(id, from, algorithm)
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
        size = writeAll(fd, chunks, start)
        startWriteBack(fd, start, size)
        return size - start
      } catch (error) {
        rollBack()
        throw error
      }
    },
    end() {
      closeSync(fd)
      return { size, digest: hash?.keep(size) }
    },
  }
}

/** Returns the position after the last byte. */
function writeAll(fd: number, chunks: Uint8Array[], start: number): number {
  let position = start
  let rest = chunks.filter((chunk) => chunk.byteLength > 0)
  while (rest.length > 0) {
    const written = writevSync(fd, rest, position)
    if (written <= 0) throw new StorageError('failed', 'the system wrote nothing')
    position += written
    // A disk that is nearly full takes a part; the next call tells why.
    rest = after(rest, written)
  }
  return position
}

function after(chunks: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  for (const [index, chunk] of chunks.entries()) {
    if (skip < chunk.byteLength) return [chunk.subarray(skip), ...chunks.slice(index + 1)]
    skip -= chunk.byteLength
  }
  return []
}
