import type { WriteBatch } from './write-protocol.ts'

/** Bytes that go to a Worker in one message. */
export const BATCH_BYTES = 256 * 1024
/** Smaller chunks are copied together: a message of many small buffers costs more than the copy. */
const WORTH_TRANSFERRING = 16 * 1024
const GATHER_BYTES = 64 * 1024

export interface Batch {
  readonly bytes: number
  /** Takes as much of the chunk as there is room for, and returns the rest (empty when there is none). */
  add(chunk: Uint8Array): Uint8Array
  /** What was gathered, and the buffers that go with it; the batch is empty afterwards. */
  take(): { chunks: WriteBatch['chunks']; transfer: ArrayBuffer[] }
}

/** Gathers chunks, copying only those that are small or share their buffer with something else. */
export function createBatch(): Batch {
  let chunks: Uint8Array[] = []
  let transfer: ArrayBuffer[] = []
  let bytes = 0
  let gather: Uint8Array | undefined
  let start = 0
  let end = 0

  const closeGathered = () => {
    if (gather !== undefined && end > start) chunks.push(gather.subarray(start, end))
    start = end
  }

  const copy = (chunk: Uint8Array): Uint8Array => {
    let rest = chunk
    while (rest.byteLength > 0 && bytes < BATCH_BYTES) {
      if (gather === undefined || end === gather.byteLength) {
        closeGathered()
        const buffer = new ArrayBuffer(GATHER_BYTES)
        transfer.push(buffer)
        gather = new Uint8Array(buffer)
        start = 0
        end = 0
      }
      const fits = Math.min(rest.byteLength, gather.byteLength - end, BATCH_BYTES - bytes)
      gather.set(rest.subarray(0, fits), end)
      end += fits
      bytes += fits
      rest = rest.subarray(fits)
    }
    return rest
  }

  return {
    get bytes() {
      return bytes
    },
    add(chunk) {
      const { buffer } = chunk
      if (chunk.byteLength < WORTH_TRANSFERRING || chunk.byteLength !== buffer.byteLength) return copy(chunk)
      if (!(buffer instanceof ArrayBuffer)) return copy(chunk)
      closeGathered()
      chunks.push(chunk)
      transfer.push(buffer)
      bytes += chunk.byteLength
      return chunk.subarray(chunk.byteLength)
    },
    take() {
      closeGathered()
      const taken = { chunks, transfer }
      chunks = []
      transfer = []
      bytes = 0
      gather = undefined
      start = 0
      end = 0
      return taken
    },
  }
}
