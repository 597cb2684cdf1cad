import { LRUCache } from 'lru-cache'
import type { Metadata, StoredBlob } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import type { Storage, StoredObject } from '../storage/storage.ts'
import { BLOB_MEDIA_TYPE, type EventCause, type Events, NO_EVENTS } from './events.ts'
import { withFaults } from './faults.ts'

export type { StoredObject }

export interface Blobs {
  /** @throws RegistryError BLOB_UNKNOWN when the repository does not have it, or its bytes are gone. */
  open(repository: string, digest: Digest): Promise<StoredObject>
  /** Links the blob from one of `from` to `to`; false when none of them has it, or its bytes are gone. */
  mount(digest: Digest, from: readonly string[] | 'any', to: string, cause?: () => EventCause): Promise<boolean>
  /**
   * Takes the blob out of the repository.
   * @throws RegistryError BLOB_UNKNOWN; DENIED while a manifest of the repository needs it.
   */
  delete(repository: string, digest: Digest, cause?: () => EventCause): Promise<void>
  /** To be told of a pull that was answered, where `wantsPulls`; `size` is that of the blob. */
  pulled(repository: string, digest: Digest, size: number, cause: () => EventCause): void
  readonly wantsPulls: boolean
  /** Forgets what memory holds of a blob whose key changed. */
  forget(digest: Digest): void
}

/** Blobs whose rows memory holds, each with the repositories that have it; some 300 bytes each. */
const CACHED_BLOBS = 20_000
/** Repositories of one blob that memory holds: a base layer may be in all of them. */
const LINKS_OF_A_BLOB = 100

export function createBlobs(deps: {
  metadata: Metadata
  storage: Storage
  now: () => number
  /** Blobs whose rows memory holds, at least 1. */
  remembered?: number | undefined
  events?: Events
}): Blobs {
  const { metadata, storage, now, remembered = CACHED_BLOBS, events = NO_EVENTS } = deps
  const known = new LRUCache<Digest, Map<string, StoredBlob>>({ max: remembered })
  // A link read before a deletion must not enter the cache after it: readers compare this with what it was at their start.
  let deletions = 0

  async function find(repository: string, digest: Digest): Promise<StoredBlob> {
    const cached = known.get(digest)?.get(repository)
    if (cached !== undefined) return cached
    const before = deletions
    const blob = await metadata.blobs.find(repository, digest)
    if (blob === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: digest })
    if (before === deletions) remember(repository, blob)
    return blob
  }

  function remember(repository: string, blob: StoredBlob): void {
    const links = known.get(blob.digest)
    if (links === undefined) known.set(blob.digest, new Map([[repository, blob]]))
    else if (links.size < LINKS_OF_A_BLOB) links.set(repository, blob)
  }

  function forget(digest: Digest): void {
    deletions++
    known.delete(digest)
  }

  return {
    forget,

    async open(repository, digest) {
      const blob = await find(repository, digest)
      const object = await storage.open(blob.key)
      if (object !== undefined && object.size === blob.size) return object
      // What memory knew may be old (the blob moved to another key); the row decides.
      forget(digest)
      const current = await find(repository, digest)
      const second = await storage.open(current.key)
      if (second !== undefined && second.size === current.size) return second
      // Said as unknown, so that a client that pushes uploads the bytes again, which mends it.
      throw new RegistryError('BLOB_UNKNOWN', {
        detail: digest,
        cause: new Error(`stored bytes at ${current.key} are missing or have another size than ${current.size}`),
      })
    },

    async mount(digest, from, to, cause) {
      const blob = await metadata.blobs.locate(digest)
      // A row whose bytes are gone must not spare the client the upload that would bring them back.
      if (blob?.state !== 'live' || (await storage.open(blob.key))?.size !== blob.size) return false
      // Where the client named none, which repository had it is nobody's business.
      const fromRepository = from !== 'any' && from.length === 1 ? from[0] : undefined
      const target = { repository: to, digest, mediaType: BLOB_MEDIA_TYPE, size: blob.size, kind: 'blobs' } as const
      const told = events.of('mount', { ...target, fromRepository }, cause)
      const mounted = await withFaults(() => metadata.blobs.mount({ digest, from, to, now: now(), events: told }))
      if (mounted) events.queued(told)
      return mounted
    },

    async delete(repository, digest, cause) {
      const told = events.of('delete', { repository, digest }, cause)
      const outcome = await withFaults(() => metadata.blobs.unlink(repository, digest, told))
      forget(digest)
      if (outcome === 'unknown') throw new RegistryError('BLOB_UNKNOWN', { detail: digest })
      if (outcome !== 'unlinked') {
        // registry:2 would delete it and break the image; the specification leaves the choice to the registry.
        throw new RegistryError('DENIED', {
          message: `manifest ${outcome.referencedBy} needs this blob; delete that manifest first`,
          detail: { digest, referencedBy: outcome.referencedBy },
        })
      }
      events.queued(told)
    },

    pulled(repository, digest, size, cause) {
      events.pulled({ repository, digest, mediaType: BLOB_MEDIA_TYPE, size, kind: 'blobs' }, cause)
    },

    get wantsPulls() {
      return events.wantsPulls
    },
  }
}
