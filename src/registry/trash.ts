import type { Metadata, Restored, TagMove, TagRestored, TrashRow } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { withFaults } from './faults.ts'
import { type ImmutableTags, NOTHING_IMMUTABLE } from './immutable.ts'
import type { Manifests } from './manifests.ts'

/** What was deleted, and where tags pointed before. `actor` is who does it. */
export interface Trash {
  list(repository: string | undefined, page: { before?: number | undefined; limit: number }): Promise<TrashRow[]>
  /** Undefined when it is not in the trash. */
  restore(repository: string, digest: Digest, actor: string): Promise<Restored | undefined>
  /**
   * Brings back all that one deletion of a repository took; undefined when nothing of it is in the trash. One that is under way is
   * called off: what it has not taken stays.
   */
  restoreBatch(repository: string, batch: string, actor: string): Promise<Restored | undefined>
  history(
    repository: string,
    tag: string | undefined,
    page: { before?: number | undefined; limit: number },
  ): Promise<TagMove[]>
  /** @throws RegistryError DENIED where it is immutable and points elsewhere, unless it is forced */
  restoreTag(
    repository: string,
    tag: string,
    to: Digest | undefined,
    by: { actor: string; force: boolean },
  ): Promise<TagRestored>
}

export function createTrash(deps: {
  metadata: Metadata
  manifests: Pick<Manifests, 'forget'>
  immutable?: Pick<ImmutableTags, 'of'>
  now: () => number
}): Trash {
  const { metadata, manifests, now, immutable = NOTHING_IMMUTABLE } = deps
  return {
    list: (repository, page) => metadata.trash.list({ repository }, page),
    history: (repository, tag, page) => metadata.tags.history(repository, tag, page),

    async restore(repository, digest, actor) {
      const restored = await withFaults(() => metadata.trash.restore(repository, digest, { now: now(), actor }))
      if (restored !== undefined) manifests.forget(repository, [...restored.digests, ...restored.tags])
      return restored
    },

    async restoreBatch(repository, batch, actor) {
      const all: Restored = { digests: [], tags: [], taken: [] }
      const wasRunning = await withFaults(() => metadata.deletions.callOff(repository, batch, now()))
      for (;;) {
        const restored = await withFaults(() => metadata.trash.restoreBatch(repository, batch, { now: now(), actor }))
        if (restored === undefined) return all.digests.length === 0 && !wasRunning ? undefined : all
        manifests.forget(repository, [...restored.digests, ...restored.tags])
        all.digests.push(...restored.digests)
        all.tags.push(...restored.tags)
        all.taken.push(...restored.taken)
      }
    },

    async restoreTag(repository, tag, to, { actor, force }) {
      const protections = force ? [] : await immutable.of(repository)
      const restored = await withFaults(() =>
        metadata.tags.restore(repository, tag, to, { now: now(), actor, protections }),
      )
      manifests.forget(repository, [tag])
      return restored
    },
  }
}
