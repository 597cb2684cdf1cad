import type { Metadata } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { Storage } from '../storage/storage.ts'
import type { Blobs } from './blobs.ts'
import type { Uploads } from './uploads.ts'

/**
 * Gives bytes that no row names and that are older than `before` (milliseconds since the epoch) to the collector, and
 * removes files of uploads without a row. Crashes between bytes and row leave such.
 */
export type Sweep = (before: number) => Promise<{ objects: number; uploads: number }>

/** Objects that are looked up together. */
const PORTION = 500

export function createSweep(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Pick<Blobs, 'collecting'>
  uploads: Pick<Uploads, 'forgetStray'>
  now: () => number
}): Sweep {
  const { metadata, storage, blobs, uploads, now } = deps
  const { collection } = metadata

  async function claim(found: readonly { key: string; digest: Digest; size: number }[]): Promise<number> {
    let claimed = 0
    const strays = new Set(await collection.strays(found.map(({ key, digest }) => ({ key, digest }))))
    for (const object of found) {
      if (!strays.has(object.key)) continue
      // Decided again where a push would bring its row: it may have sealed these very bytes a moment ago.
      if (await blobs.collecting(object.digest, () => collection.claim(object, now()))) claimed++
    }
    return claimed
  }

  return async (before) => {
    const swept = { objects: 0, uploads: 0 }
    let found: { key: string; digest: Digest; size: number }[] = []
    for await (const { key, digest, size, modified } of storage.list()) {
      if (digest === undefined || modified.getTime() > before) continue
      found.push({ key, digest, size })
      if (found.length < PORTION) continue
      swept.objects += await claim(found)
      found = []
    }
    swept.objects += await claim(found)
    for await (const { id, modified } of storage.uploads()) {
      if (modified.getTime() <= before && (await uploads.forgetStray(id))) swept.uploads++
    }
    return swept
  }
}
