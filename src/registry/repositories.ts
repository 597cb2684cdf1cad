import type { DeletionProgress, Metadata, Overview, Renamed } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { Blobs } from './blobs.ts'
import type { EventCause, Events } from './events.ts'
import { withFaults } from './faults.ts'
import type { ImmutableTags } from './immutable.ts'
import type { Manifests } from './manifests.ts'
import { FIRST_PORTION, nextPortion } from './portions.ts'
import type { PullCounts } from './pull-counts.ts'
import type { Uploads } from './uploads.ts'

export type { Renamed }

export interface RepositoryDeleted {
  /** Under which all of it can be restored. */
  batch: string
  manifests: number
  tags: number
  /** Uploads under way that were ended. */
  uploads: number
}

/** Who asks for it. */
export interface RepositoryChanger {
  /** A subject's name. */
  actor: string
  /** Even where tags are immutable. */
  force: boolean
  cause?: (() => EventCause) | undefined
}

/** Changes of whole repositories. RegistryError DENIED where a tag is immutable, unless it is forced. */
export interface Repositories {
  /**
   * Moves everything to the trash, as one batch. Undefined when there is no such repository.
   *
   * Manifests go in portions, indexes before what they name. What was pushed after the beginning stays.
   * Until the end the repository is listed, with the tags that are left; from then on its name is unknown.
   */
  delete(name: string, by: RepositoryChanger): Promise<RepositoryDeleted | undefined>
  /** Gives the repository another name, at once: see the rows' `rename`. */
  rename(from: string, to: string, by: RepositoryChanger): Promise<Renamed>
  /** For administrators. */
  overview: Overview['repositories']
  tags: Overview['tags']
}

export function createRepositories(deps: {
  metadata: Metadata
  manifests: Pick<Manifests, 'forget' | 'forgetRepository'>
  blobs: Pick<Blobs, 'forgetRepository'>
  uploads: Pick<Uploads, 'endAll'>
  pulls: Pick<PullCounts, 'flush' | 'moved'>
  immutable: Pick<ImmutableTags, 'of'>
  events: Events
  /** Called before the end of a deletion: no manifest of the repository needs these blobs any more. */
  onFreed: (digests: readonly Digest[]) => void
  /** Quotas may have to take back what they counted by the old name, or (it was refused) in advance. */
  onRenamed: () => void
  now: () => number
  /** Milliseconds of a clock that is never set back. */
  clock?: () => number
  newId: () => string
}): Repositories {
  const {
    metadata,
    manifests,
    blobs,
    uploads,
    pulls,
    immutable,
    events,
    onFreed,
    onRenamed,
    now,
    newId,
    clock = () => performance.now(),
  } = deps
  const { repositories } = metadata
  return {
    overview: metadata.overview.repositories,
    tags: metadata.overview.tags,

    async delete(name, { actor, force, cause }) {
      const protections = force ? [] : await immutable.of(name)
      const startedAt = now()
      const batch = newId()
      const told = events.of('delete', { repository: name }, cause)
      const done: RepositoryDeleted = { batch, manifests: 0, tags: 0, uploads: 0 }
      if (!(await repositories.exists(name))) return undefined
      // What was pulled a moment ago counts in the trash, too.
      await pulls.flush()
      done.uploads = await uploads.endAll(name, startedAt)
      let progress: DeletionProgress | undefined
      let limit: number = FIRST_PORTION
      do {
        const began = clock()
        const deletion = { batch, progress, limit, now: now(), actor, protections, events: told }
        const portion = await withFaults(() => repositories.delete(name, deletion))
        if (portion === undefined) return undefined
        manifests.forget(name, [...portion.digests, ...portion.tags])
        onFreed(portion.freed)
        done.manifests += portion.digests.length
        done.tags += portion.tags.length
        progress = portion.progress
        limit = nextPortion(limit, clock() - began)
      } while (progress !== undefined)
      events.queued(told)
      return done
    },

    async rename(from, to, { actor, force, cause }) {
      const protections = force ? [] : await immutable.of(from)
      // distribution has no event of a new name: whoever keeps a list hears that the old one is gone.
      const told = events.of('delete', { repository: from }, cause)
      await pulls.flush()
      let most: number = FIRST_PORTION
      let renamed: Renamed | 'counting' = 'counting'
      try {
        while (renamed === 'counting') {
          const began = clock()
          const change = { now: now(), actor, protections, events: told, most }
          renamed = await withFaults(() => repositories.rename(from, to, change))
          most = nextPortion(most, clock() - began)
        }
      } finally {
        onRenamed()
      }
      if (renamed !== 'renamed') return renamed
      manifests.forgetRepository(from)
      blobs.forgetRepository(from)
      pulls.moved(from, to)
      events.queued(told)
      return renamed
    },
  }
}
