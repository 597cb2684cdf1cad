/** Takes bytes off a stream of chunks. */
export interface ByteReader {
  /** Exactly so many; undefined where the stream ends before. Few: they are put together in memory. */
  exactly(size: number): Promise<Buffer | undefined>
  /** At most so many of those that are at hand; undefined at the end. */
  some(limit: number): Promise<Uint8Array | undefined>
  /** Passes so many by; false where the stream ends before. */
  skip(size: number): Promise<boolean>
  /** Reads on to the end, for what the stream checks there. */
  drain(): Promise<void>
  /** Ends the stream, which need not have been read. */
  close(): Promise<void>
}

export function createByteReader(chunks: AsyncIterable<Uint8Array>): ByteReader {
  const source = chunks[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array(0)

  async function some(limit: number): Promise<Uint8Array | undefined> {
    while (rest.byteLength === 0) {
      const { done, value } = await source.next()
      if (done === true) return undefined
      rest = value
    }
    const part = rest.subarray(0, limit)
    rest = rest.subarray(part.byteLength)
    return part
  }

  return {
    some,
    async exactly(size) {
      const parts: Uint8Array[] = []
      for (let left = size; left > 0; ) {
        const part = await some(left)
        if (part === undefined) return undefined
        left -= part.byteLength
        parts.push(part)
      }
      const [only] = parts
      return parts.length === 1 && only !== undefined
        ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
        : Buffer.concat(parts)
    },
    async skip(size) {
      for (let left = size; left > 0; ) {
        const part = await some(left)
        if (part === undefined) return false
        left -= part.byteLength
      }
      return true
    },
    async drain() {
      while ((await some(Number.POSITIVE_INFINITY)) !== undefined);
    },
    async close() {
      await source.return?.()
    },
  }
}
