import { createHash } from 'node:crypto'
import { RegistryError } from './error.ts'

/** Hash algorithms that Berth stores content under (OCI Image Specification, "Digests": registered algorithms). */
export type Algorithm = 'sha256' | 'sha512'

/** `algorithm:hex`, hex in lower case and of the algorithm's length. */
export type Digest = `${Algorithm}:${string}`

const HEX_LENGTH: Record<Algorithm, number> = { sha256: 64, sha512: 128 }
const DIGEST = /^(sha256|sha512):([a-f0-9]+)$/

export function isAlgorithm(text: string): text is Algorithm {
  return text === 'sha256' || text === 'sha512'
}

/** Whether `text` is a digest that Berth can store; use it to tell a digest from a tag. */
export function isDigest(text: string): text is Digest {
  const match = DIGEST.exec(text)
  return match !== null && match[2]?.length === HEX_LENGTH[match[1] as Algorithm]
}

/** @throws RegistryError DIGEST_INVALID for anything that `isDigest` refuses. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new RegistryError('DIGEST_INVALID', {
    message: 'invalid digest: expected sha256 with 64 or sha512 with 128 lower-case hex digits',
    detail: text.slice(0, 200),
  })
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.slice(0, 6) as Algorithm
}

export function hexOf(digest: Digest): string {
  return digest.slice(7)
}

export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}
