import { LRUCache } from 'lru-cache'
import type { Metadata, StoredBlob } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import type { Storage, StoredObject } from '../storage/storage.ts'
import { createAsks } from './asks.ts'
import { BLOB_MEDIA_TYPE, type EventCause, type Events, NO_EVENTS } from './events.ts'
import { withFaults } from './faults.ts'
import type { Turns } from './turns.ts'

export type { StoredObject }

/** Of a cache, since the start. */
export interface CacheCounts {
  requests: number
  hits: number
}

export interface Blobs {
  /** @throws RegistryError BLOB_UNKNOWN when the repository does not have it, or its bytes are gone. */
  open(repository: string, digest: Digest): Promise<StoredObject>
  /**
   * As `open`, for a client that asks whether it need not push the blob: the collector leaves it alone for most of its delay
   * from now on.
   */
  hold(repository: string, digest: Digest): Promise<StoredObject>
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
  /**
   * Whether a client asked this process for the blob at `since` or later, as `hold` has it. While a manifest needs a blob the
   * database is told nothing of that.
   */
  wasAskedFor(repository: string, digest: Digest, since: number): boolean
  /** Forgets what memory holds of a blob whose key, or whose standing with the collector, changed. */
  forget(digest: Digest): void
  /** Forgets what memory holds of the repository's blobs: another one may have its name from now on. */
  forgetRepository(repository: string): void
  /**
   * Runs a step of the collector that may take the blob away. Nothing about the blob is answered from memory, or remembered,
   * from before its first change until it has ended. One step a blob at a time.
   */
  collecting<T>(digest: Digest, step: () => Promise<T>): Promise<T>
}

/** Blobs whose rows memory holds, each with the repositories that have it; some 300 bytes each. */
const CACHED_BLOBS = 20_000
/** Repositories of one blob that memory holds: a base layer may be in all of them. */
const LINKS_OF_A_BLOB = 100

/** What memory holds of a blob in a repository; `heldAt`: when the collector was known to leave it alone for its delay. */
type Known = StoredBlob & { heldAt?: number }

export function createBlobs(deps: {
  metadata: Metadata
  storage: Storage
  now: () => number
  /** Blobs whose rows memory holds, at least 1. */
  remembered?: number | undefined
  events?: Events
  /** Milliseconds that the collector leaves a blob alone which nothing needs. */
  delay: () => number
  turns: Turns
  /** Counts what was asked of memory, and what it had. */
  counts?: CacheCounts
}): Blobs {
  const { metadata, storage, now, delay, turns, remembered = CACHED_BLOBS, events = NO_EVENTS } = deps
  const { counts = { requests: 0, hits: 0 } } = deps
  const known = new LRUCache<Digest, Map<string, Known>>({ max: remembered })
  const asks = createAsks()
  // A link read before a deletion must not enter the cache after it: readers compare this with what it was at their start.
  let deletions = 0

  async function find(repository: string, digest: Digest): Promise<Known> {
    const cached = known.get(digest)?.get(repository)
    counts.requests++
    if (cached !== undefined) {
      counts.hits++
      return cached
    }
    const before = deletions
    const blob = await metadata.blobs.find(repository, digest)
    if (blob === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: digest })
    if (before === deletions) remember(repository, blob)
    return blob
  }

  function remember(repository: string, blob: Known): void {
    if (turns.isTaken(blob.digest)) return
    const links = known.get(blob.digest)
    if (links === undefined) known.set(blob.digest, new Map([[repository, blob]]))
    else if (links.size < LINKS_OF_A_BLOB) links.set(repository, blob)
  }

  function forget(digest: Digest): void {
    deletions++
    known.delete(digest)
  }

  /**
   * The collector takes no blob within its delay from when somebody needed or touched it, so a look that found the blob needed,
   * or touched of late, is good for a part of that delay, and the rest is the client's. Otherwise it is touched: in the database,
   * where that and the collector's decision come one after the other.
   */
  async function standsFast(repository: string, digest: Digest): Promise<boolean> {
    const lease = delay() * LEASE
    const heldAt = known.get(digest)?.get(repository)?.heldAt
    const time = now()
    // Before anything is looked at: whoever takes it away meanwhile looks at this afterwards.
    asks.note(repository, digest, time)
    if (heldAt !== undefined && heldAt <= time && time - heldAt < lease) return true
    const before = deletions
    const review = await metadata.blobs.review(repository, digest)
    if (review === undefined) return false
    const isFresh =
      review.kind === 'settled' || (review.cause === 'unused' && review.since <= time && time - review.since < lease)
    if (!isFresh && !(await withFaults(() => metadata.blobs.touch(repository, digest, now())))) return false
    const entry = known.get(digest)?.get(repository)
    if (entry !== undefined && before === deletions)
      entry.heldAt = review.kind === 'waiting' && isFresh ? review.since : time
    return true
  }

  async function open(repository: string, digest: Digest): Promise<StoredObject> {
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
  }

  return {
    forget,
    open,

    forgetRepository(repository) {
      deletions++
      for (const links of known.values()) links.delete(repository)
    },

    wasAskedFor: asks.isSince,

    async hold(repository, digest) {
      const object = await open(repository, digest)
      if (await standsFast(repository, digest)) return object
      forget(digest)
      throw new RegistryError('BLOB_UNKNOWN', { detail: digest })
    },

    collecting: (digest, step) =>
      turns.alone(digest, async () => {
        forget(digest)
        try {
          return await step()
        } finally {
          forget(digest)
        }
      }),

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
      const outcome = await withFaults(() => metadata.blobs.unlink(repository, digest, { now: now(), events: told }))
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

/** Part of the delay for which an answer from memory is good. */
const LEASE = 0.25
