import type { DeletionState, Metadata, Overview, Renamed } from '../metadata/metadata.ts'
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

/** Deletions that one look brings. */
const MOST_RESUMED = 100

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

/** Of a deletion that had been left in its middle. */
export interface ResumedDeletion {
  batch: string
  repository: string
  /** `running`: the program ends before it does, or it met an error. */
  state: DeletionState
  /** How many it has taken. */
  manifests: number
  error?: unknown
}

/** Changes of whole repositories. RegistryError DENIED where a tag is immutable, unless it is forced. */
export interface Repositories {
  /**
   * Moves everything to the trash, as one batch. Undefined when there is no such repository; `undone` when a restoration of the
   * batch called it off before its end.
   *
   * Manifests go in portions, indexes before what they name. What was pushed after the beginning stays.
   * Until the end the repository is listed, with the tags that are left; from then on its name is unknown.
   * What was asked for while another deletion of it was under way is one with that, and takes what came meanwhile, too.
   */
  delete(name: string, by: RepositoryChanger): Promise<RepositoryDeleted | 'undone' | undefined>
  /**
   * Carries on with deletions that nobody has carried on with for `idleMs` milliseconds, one after the other: their program was
   * killed, or met a fault. Tells of each as it ends.
   */
  resume(options: { idleMs: number; isStopping?: () => boolean }): AsyncGenerator<ResumedDeletion>
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
  const { repositories, deletions } = metadata
  /** Batches that this process is at, and how many carry each of them on. */
  const carriedOn = new Map<string, number>()

  /** Before the first portion, or the first of those that are left. Resolves to how many uploads it ended. */
  async function prepare(name: string, startedBy: number): Promise<number> {
    // What was pulled a moment ago counts in the trash, too.
    await pulls.flush()
    return await uploads.endAll(name, startedBy)
  }

  async function carryOn(batch: string, isStopping: () => boolean) {
    carriedOn.set(batch, (carriedOn.get(batch) ?? 0) + 1)
    try {
      return await portions(batch, isStopping)
    } finally {
      const others = (carriedOn.get(batch) ?? 1) - 1
      if (others === 0) carriedOn.delete(batch)
      else carriedOn.set(batch, others)
    }
  }

  async function portions(
    batch: string,
    isStopping: () => boolean,
  ): Promise<{ state: DeletionState; manifests: number; tags: number }> {
    let limit: number = FIRST_PORTION
    for (;;) {
      const began = clock()
      const portion = await withFaults(() => deletions.advance(batch, { limit, now: now() }))
      // Nothing is known of one that ended long ago.
      if (portion === undefined) return { state: 'undone', manifests: 0, tags: 0 }
      const { repository, digests, tags, freed, state, total } = portion
      manifests.forget(repository, [...digests, ...tags])
      onFreed(freed)
      if (portion.events.length > 0) events.queued(portion.events)
      if (state !== 'running' || isStopping()) return { state, ...total }
      limit = nextPortion(limit, clock() - began)
    }
  }

  return {
    overview: metadata.overview.repositories,
    tags: metadata.overview.tags,

    async delete(name, { actor, force, cause }) {
      const protections = force ? [] : await immutable.of(name)
      const time = now()
      const told = events.of('delete', { repository: name }, cause)
      const deletion = { batch: newId(), now: time, actor, protections, events: told }
      const begun = await withFaults(() => deletions.begin(name, deletion))
      if (begun === undefined) return undefined
      const { batch } = begun
      const ended = await prepare(name, time)
      const { state, manifests, tags } = await carryOn(batch, () => false)
      return state === 'done' ? { batch, manifests, tags, uploads: ended } : 'undone'
    },

    async *resume({ idleMs, isStopping = () => false }) {
      for (const { batch, repository, beganAt, seenAt } of await deletions.unfinished(MOST_RESUMED)) {
        // A clock that was set back must not keep it waiting.
        if (carriedOn.has(batch) || Math.abs(now() - seenAt) < idleMs) continue
        if (isStopping()) return
        try {
          await prepare(repository, beganAt)
          const { state, manifests } = await carryOn(batch, isStopping)
          yield { batch, repository, state, manifests }
        } catch (error) {
          yield { batch, repository, state: 'running', manifests: 0, error }
        }
      }
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
