import type { Digest } from '../oci/digest.ts'

/**
 * Whoever gives bytes a key, or unlinks what is under one, does so alone for the digest: a key that the collector has given
 * back may be taken again, and must not be unlinked by who still believes it to be discarded. One process has the storage
 * where keys are taken again; where several share it, a key is never given twice.
 */
export interface Turns {
  alone<T>(digest: Digest, work: () => Promise<T>): Promise<T>
  isTaken(digest: Digest): boolean
}

export function createTurns(): Turns {
  const running = new Map<Digest, Promise<void>>()
  return {
    isTaken: (digest) => running.has(digest),
    async alone(digest, work) {
      for (let other = running.get(digest); other !== undefined; other = running.get(digest)) await other
      const { promise, resolve } = Promise.withResolvers<void>()
      running.set(digest, promise)
      try {
        return await work()
      } finally {
        running.delete(digest)
        resolve()
      }
    },
  }
}
