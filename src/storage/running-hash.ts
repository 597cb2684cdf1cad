import type { Algorithm, Digest } from '../oci/digest.ts'

/** Uploads that wait for their next append and whose hash is kept. A few hundred bytes each. */
const MAX_KEPT = 1024

/** The hash of one append, over all bytes of the upload so far. */
export interface AppendHash {
  update(bytes: Uint8Array): void
  /** Keeps the hash for the next append, which must begin at `size`. */
  keep(size: number): Digest
}

/** What was hashed of uploads in earlier appends. No runtime can store such a state, so it ends with the process. */
export interface RunningHashes {
  /** Undefined when no hash covers the upload's first `from` bytes. */
  resume(id: string, from: number, algorithm: Algorithm): AppendHash | undefined
  forget(id: string): void
}

export function createRunningHashes(): RunningHashes {
  /** Least recently used first. */
  const kept = new Map<string, { hash: Bun.CryptoHasher; algorithm: Algorithm; size: number }>()

  const keep = (id: string, hash: Bun.CryptoHasher, algorithm: Algorithm, size: number) => {
    kept.delete(id)
    kept.set(id, { hash, algorithm, size })
    if (kept.size <= MAX_KEPT) return
    const oldest = kept.keys().next()
    if (!oldest.done) kept.delete(oldest.value)
  }

  return {
    resume(id, from, algorithm) {
      const known = kept.get(id)
      const covers = known?.size === from && known.algorithm === algorithm
      if (!covers && from > 0) return undefined
      // A copy: an append that fails leaves the hash of what came before it.
      const hash = covers ? known.hash.copy() : new Bun.CryptoHasher(algorithm)
      return {
        update(bytes) {
          hash.update(bytes)
        },
        keep(size) {
          keep(id, hash, algorithm, size)
          return `${algorithm}:${hash.copy().digest('hex')}`
        },
      }
    },
    forget(id) {
      kept.delete(id)
    },
  }
}
