import { createHash } from 'node:crypto'
import { algorithmOf, type Digest } from '../oci/digest.ts'

/** Bytes that are not what they should be. */
export interface Mismatch {
  /** In words that follow on the name of the content. */
  found: string
  /** How many bytes came. */
  bytes: number
  /** Theirs, where they were as many as they should be. */
  digest: Digest | undefined
}

/** Compares bytes, as they come, with a digest, and with a size where one is known. */
export interface ContentCheck {
  /** How many came. */
  bytes(): number
  /** @throws what `wrong` made of it, at the first byte too many */
  add(chunk: Uint8Array): void
  /** They are all there. @throws what `wrong` made of it */
  end(): void
}

export interface Expected {
  digest: Digest
  /** Bytes. */
  size?: number | undefined
}

export function createContentCheck({ digest, size }: Expected, wrong: (mismatch: Mismatch) => Error): ContentCheck {
  const hash = createHash(algorithmOf(digest))
  let bytes = 0
  return {
    bytes: () => bytes,
    add(chunk) {
      bytes += chunk.byteLength
      if (size !== undefined && bytes > size) {
        throw wrong({ found: `it has more than the ${size} bytes that its manifest says`, bytes, digest: undefined })
      }
      hash.update(chunk)
    },
    end() {
      if (size !== undefined && bytes < size) {
        throw wrong({ found: `it has ${bytes} bytes, and its manifest says ${size}`, bytes, digest: undefined })
      }
      const actual: Digest = `${algorithmOf(digest)}:${hash.digest('hex')}`
      if (actual !== digest) throw wrong({ found: `its bytes have the digest ${actual}`, bytes, digest: actual })
    },
  }
}

/** The same bytes; whoever reads them to their end knows that they are the right ones. @throws what `wrong` made of others */
export async function* checkedBytes(
  expected: Expected,
  chunks: AsyncIterable<Uint8Array>,
  wrong: (mismatch: Mismatch) => Error,
  onProgress: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array, undefined> {
  const check = createContentCheck(expected, wrong)
  for await (const chunk of chunks) {
    check.add(chunk)
    onProgress(check.bytes())
    yield chunk
  }
  check.end()
}
