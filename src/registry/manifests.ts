import { LRUCache } from 'lru-cache'
import type { Metadata, StoredManifest } from '../metadata/metadata.ts'
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isTag } from '../oci/name.ts'
import type { CacheCounts } from './blobs.ts'
import { createReferencesOf, describedBy, type EventCause, type Events, NO_EVENTS } from './events.ts'
import { withFaults } from './faults.ts'
import { type ImmutableTags, NOTHING_IMMUTABLE } from './immutable.ts'
import type { PullCounts } from './pull-counts.ts'
import { ENDLESS_SPACE, type Space } from './space.ts'
import { checkClass, type Policy, referencesOf } from './validation.ts'

export type { StoredManifest }

export interface Manifests {
  /**
   * By tag or digest. Answers at once, without a promise, when memory has it.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  find(repository: string, reference: string): StoredManifest | Promise<StoredManifest>
  /**
   * Stores a manifest under its digest and moves the tags. One transaction.
   * @throws RegistryError MANIFEST_INVALID, DIGEST_INVALID, TAG_INVALID, MANIFEST_BLOB_UNKNOWN (one per missing blob), and
   *   DENIED for a class of images that is not allowed, when the disk has no room for pushes, and for a tag that is immutable
   *   and stands for another manifest.
   */
  put(put: ManifestPush, cause?: () => EventCause): Promise<{ digest: Digest; subject: Digest | undefined }>
  /**
   * By digest: moves it to the trash, and takes its tags along. By tag: the tag alone. `actor` is a subject's name.
   * @throws RegistryError MANIFEST_UNKNOWN; DENIED where a tag that would go is immutable
   */
  delete(repository: string, reference: string, actor: string, cause?: () => EventCause): Promise<void>
  /** To be told of a pull that was answered, where `wantsPulls`. */
  pulled(repository: string, reference: string, manifest: StoredManifest, cause: () => EventCause): void
  readonly wantsPulls: boolean
  /** To be told of every manifest that was sent, by the reference that was asked for. */
  sent(repository: string, reference: string, manifest: StoredManifest): void
  /** Forgets what memory holds under these tags and digests: they changed otherwise than by a call here. */
  forget(repository: string, references: readonly string[]): void
  /** Forgets what memory holds of the repository: another one may have its name from now on. */
  forgetRepository(repository: string): void
  /** Forgets all of it. */
  forgetAll(): void
  /** Runs a step of the collector that may take the manifest away: nothing of it is answered from memory meanwhile. */
  collecting<T>(repository: string, digest: Digest, step: () => Promise<T>): Promise<T>
}

export interface ManifestPush {
  repository: string
  /** Tag or digest of the request's path. */
  reference: string
  /** Further tags (`?tag=`). */
  tags: readonly string[]
  bytes: Uint8Array
  contentType: string | null
  /** Classes of images that the caller's token names for this repository; undefined where it names none. */
  granted?: readonly string[] | undefined
  /** Who pushes: a subject's name, `''` without credentials. */
  actor: string
}

/** Bytes of manifests that memory holds. */
const CACHED_BYTES = 32 * 1024 * 1024
/** Per missing reference an error is answered; past this many they are only counted. */
const LISTED_MISSING = 100

export function createManifests(deps: {
  metadata: Metadata
  policy: () => Policy
  now: () => number
  events?: Events
  immutable?: Pick<ImmutableTags, 'of'>
  /** Called before a deletion is acknowledged: no manifest of the repository needs these blobs any more. */
  onFreed: (digests: readonly Digest[]) => void
  /** A manifest was refused for want of these: a memory that has them is of a time before another process took them. */
  onMissing?: (digests: readonly Digest[]) => void
  /** Counts what is pulled. */
  pulls?: Pick<PullCounts, 'add'>
  /** Counts what was asked of memory, and what it had. */
  counts?: CacheCounts
  /** Room for what is pushed. */
  space?: Space
}): Manifests {
  const { metadata, now, onFreed, events = NO_EVENTS, counts = { requests: 0, hits: 0 }, pulls } = deps
  const { space = ENDLESS_SPACE, immutable = NOTHING_IMMUTABLE, onMissing } = deps
  const referencesOfPulled = createReferencesOf()
  /** In the hands of the collector, by cache key. */
  const collected = new Map<string, number>()
  const cache = new LRUCache<string, StoredManifest>({
    maxSize: CACHED_BYTES,
    sizeCalculation: (manifest, key) => manifest.bytes.byteLength + key.length + 500,
  })
  // What was read before a change must not enter the cache after it (a reader compares this with what it was at its start):
  // no read that begins after an acknowledged write may see the old value.
  let changes = 0

  function forget(repository: string, references: readonly string[]): void {
    changes++
    for (const reference of references) cache.delete(`${repository} ${reference}`)
  }

  async function read(repository: string, reference: string, cacheKey: string): Promise<StoredManifest> {
    const before = changes
    const manifest = isDigest(reference)
      ? await metadata.manifests.find(repository, reference)
      : isTag(reference)
        ? await metadata.manifests.resolve(repository, reference)
        : undefined
    if (manifest === undefined) throw unknown(repository, reference)
    if (before === changes && !collected.has(cacheKey)) cache.set(cacheKey, manifest)
    return manifest
  }

  return {
    forget,

    forgetRepository(repository) {
      changes++
      for (const key of [...cache.keys()]) if (key.startsWith(`${repository} `)) cache.delete(key)
    },

    forgetAll() {
      changes++
      cache.clear()
    },

    async collecting(repository, digest, step) {
      const cacheKey = `${repository} ${digest}`
      collected.set(cacheKey, (collected.get(cacheKey) ?? 0) + 1)
      forget(repository, [digest])
      try {
        return await step()
      } finally {
        const others = (collected.get(cacheKey) ?? 1) - 1
        if (others === 0) collected.delete(cacheKey)
        else collected.set(cacheKey, others)
        forget(repository, [digest])
      }
    },

    find(repository, reference) {
      const cacheKey = `${repository} ${reference}`
      const cached = cache.get(cacheKey)
      counts.requests++
      if (cached === undefined) return read(repository, reference, cacheKey)
      counts.hits++
      return cached
    },

    async put({ repository, reference, tags, bytes, contentType, granted, actor }, cause) {
      space.admit(bytes.byteLength)
      const byDigest = isDigest(reference)
      const names = [...new Set(byDigest ? tags : [reference, ...tags])]
      for (const name of names) requireTag(name)
      const digest = digestOf(bytes, byDigest ? algorithmOf(reference) : 'sha256')
      if (byDigest && digest !== reference) {
        throw new RegistryError('DIGEST_INVALID', { detail: { expected: reference, actual: digest } })
      }
      const manifest = parseManifest(bytes, contentType)
      const policy = deps.policy()
      checkClass(manifest, policy.classes, granted)
      const references = referencesOf(manifest, policy)
      const { mediaType } = manifest
      const target = { repository, digest, mediaType, size: bytes.byteLength, kind: 'manifests' } as const
      // registry:2 knows one tag in a request; each further one is an event of its own.
      const told = (names.length === 0 ? [undefined] : names).flatMap((tag) =>
        events.of('push', { ...target, tag, references: () => describedBy(manifest) }, cause),
      )
      const protections = names.length === 0 ? [] : await immutable.of(repository)
      const outcome = await withFaults(() =>
        metadata.manifests.put({
          repository,
          digest,
          mediaType,
          bytes,
          tags: names,
          references,
          subject: manifest.subject?.digest,
          artifactType: manifest.artifactType,
          annotations: manifest.annotations,
          now: now(),
          events: told,
          actor,
          protections,
        }),
      )
      if (!outcome.stored) {
        const digests = outcome.missing.map((entry) => entry.digest)
        onMissing?.(digests)
        throw missing(digests)
      }
      forget(repository, [...names, digest])
      events.queued(told)
      return { digest, subject: manifest.subject?.digest }
    },

    async delete(repository, reference, actor, cause) {
      const protections = await immutable.of(repository)
      if (isDigest(reference)) {
        const told = events.of('delete', { repository, digest: reference }, cause)
        const change = { now: now(), actor, events: told, protections }
        const deleted = await withFaults(() => metadata.manifests.delete(repository, reference, change))
        forget(repository, [reference, ...(deleted?.tags ?? [])])
        if (deleted !== undefined) onFreed(deleted.freed)
        if (deleted === undefined) throw unknown(repository, reference)
        events.queued(told, 1 + deleted.tags.length)
        return
      }
      const told = events.of('delete', { repository, tag: reference }, cause)
      const change = { now: now(), actor, events: told, protections }
      const digest = isTag(reference)
        ? await withFaults(() => metadata.tags.delete(repository, reference, change))
        : undefined
      forget(repository, [reference])
      if (digest === undefined) throw unknown(repository, reference)
      events.queued(told)
    },

    pulled(repository, reference, manifest, cause) {
      const { digest, mediaType, bytes } = manifest
      const tag = isDigest(reference) ? undefined : reference
      const target = { repository, tag, digest, mediaType, size: bytes.byteLength, kind: 'manifests' } as const
      events.pulled({ ...target, references: () => referencesOfPulled(manifest) }, cause)
    },

    get wantsPulls() {
      return events.wantsPulls
    },

    sent(repository, reference, manifest) {
      pulls?.add(repository, reference, manifest)
    },
  }
}

function requireTag(name: string): void {
  if (isTag(name)) return
  if (name.includes(':')) {
    throw new RegistryError('DIGEST_INVALID', {
      message: 'invalid digest: expected sha256 with 64 or sha512 with 128 lower-case hex digits',
      detail: name.slice(0, 200),
    })
  }
  throw new RegistryError('TAG_INVALID', {
    message: 'invalid tag: up to 128 letters, digits, _ . and -, not beginning with . or -',
    detail: name.slice(0, 200),
  })
}

function unknown(repository: string, reference: string): RegistryError {
  const detail = isDigest(reference)
    ? `unknown manifest name=${repository} revision=${reference}`
    : `unknown tag=${reference.slice(0, 200)}`
  return new RegistryError('MANIFEST_UNKNOWN', { detail })
}

function missing(digests: readonly Digest[]): RegistryError {
  const [first, ...others] = digests
    .slice(0, LISTED_MISSING)
    .map((detail) => new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail }))
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: first?.detail, more: others })
}
