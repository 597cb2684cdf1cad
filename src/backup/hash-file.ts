import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { algorithmOf, type Digest } from '../oci/digest.ts'

const CHUNK = 1024 * 1024

/** The digest of a file's bytes, by the algorithm of `expected`. */
export async function hashFile(path: string, expected: Digest, onBytes: (count: number) => void): Promise<Digest> {
  const algorithm = algorithmOf(expected)
  const hash = createHash(algorithm)
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    onBytes(chunk.byteLength)
  }
  return `${algorithm}:${hash.digest('hex')}` as Digest
}
