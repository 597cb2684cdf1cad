import { closeSync, openSync, readSync } from 'node:fs'

const CHUNK = 64 * 1024

/**
 * The first `limit` bytes. Pipes and devices have no size that could be asked for beforehand. `look` sees the open file first.
 * @throws Error of the system, or of `look`
 */
export function readUpTo(file: string, limit: number, look?: (fd: number) => void): Buffer {
  const fd = openSync(file, 'r')
  try {
    look?.(fd)
    const parts: Uint8Array[] = []
    for (let total = 0; total < limit; ) {
      const part = new Uint8Array(Math.min(CHUNK, limit - total))
      const count = readSync(fd, part)
      if (count === 0) break
      parts.push(part.subarray(0, count))
      total += count
    }
    return Buffer.concat(parts)
  } finally {
    closeSync(fd)
  }
}
