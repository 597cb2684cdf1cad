import { type BlobCommit, type Metadata, MetadataError } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import type { Storage, StoredUpload } from '../storage/storage.ts'
import { BLOB_MEDIA_TYPE, type EventCause, type Events, NO_EVENTS } from './events.ts'
import type { Turns } from './turns.ts'

/** How often a commit begins again when the row changed under it; each time means that a collector took the blob meanwhile. */
const ATTEMPTS = 5

/**
 * Turns a verified upload into a blob of the repository: bytes first, synced, then the row (a crash in between leaves an
 * orphan file, never a row without bytes). Bytes that are there already are kept, unless they are missing or damaged.
 */
export function createCommit(deps: {
  metadata: Metadata
  storage: Storage
  now: () => number
  onBlob: (digest: Digest) => void
  turns: Turns
  events?: Events
}): (repository: string, upload: StoredUpload, digest: Digest, cause?: () => EventCause) => Promise<void> {
  const { metadata, storage, now, onBlob, turns, events = NO_EVENTS } = deps

  async function forget(upload: StoredUpload): Promise<void> {
    await metadata.uploads.remove(upload.id)
    await storage.abort(upload)
  }

  /** Bytes that were sealed for a row that a limit forbids are the collector's at once. */
  async function commitSealed(row: BlobCommit & { key: string }): Promise<string | undefined> {
    try {
      return await metadata.blobs.commit(row)
    } catch (error) {
      if (error instanceof MetadataError && error.fault === 'denied') await metadata.collection.claim(row, row.now)
      throw error
    }
  }

  async function commit(
    repository: string,
    upload: StoredUpload,
    digest: Digest,
    cause: (() => EventCause) | undefined,
  ): Promise<void> {
    const { size } = upload
    const told = events.of('push', { repository, digest, mediaType: BLOB_MEDIA_TYPE, size, kind: 'blobs' }, cause)
    const row = { repository, digest, size, upload: upload.id, events: told }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const known = await metadata.blobs.locate(digest)
      const isWhole = known?.state === 'live' && (await storage.open(known.key))?.size === known.size
      if (isWhole) {
        if ((await metadata.blobs.commit({ ...row, key: undefined, now: now() })) === undefined) continue
        events.queued(told)
        await storage.abort(upload)
        return
      }
      const avoid = await metadata.blobs.discarded(digest)
      const key = await storage.seal(upload, digest, known === undefined ? avoid : [known.key, ...avoid])
      const replaces = known?.state === 'live' ? known.key : undefined
      const holding = await commitSealed({ ...row, key, replaces, now: now() })
      // The collector got hold of this very key since: the bytes are lost to us, and the client has them still.
      if (holding === undefined) break
      if (holding !== key) await storage.delete(key)
      // Nobody can have seen a link to a blob that was unknown.
      if (known !== undefined) onBlob(digest)
      events.queued(told)
      return
    }
    await forget(upload)
    throw new RegistryError('UNAVAILABLE', { message: 'the blob was being removed at this moment; push again' })
  }

  return (repository, upload, digest, cause) =>
    turns.alone(digest, async () => {
      try {
        await commit(repository, upload, digest, cause)
      } catch (error) {
        if (error instanceof MetadataError && error.fault === 'denied') await forget(upload)
        throw error
      }
    })
}
