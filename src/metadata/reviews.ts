import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks } from './database.ts'
import type { Cause } from './metadata.ts'
import { statement } from './statement.ts'

/**
 * The queues of the collector, kept by every transaction that gives or takes a holder. The caller holds the lock of the
 * repository (or, for `holdsNothing`, that of the blob).
 */

const CODES = { unused: 0, deleted: 1, overwritten: 2 } as const satisfies Record<Cause, number>

export function codeOf(cause: Cause): number {
  return CODES[cause]
}

export function causeOf(code: number): Cause {
  return code === CODES.deleted ? 'deleted' : code === CODES.overwritten ? 'overwritten' : 'unused'
}

/** The link is new, or somebody pushed or mounted it again: unless a manifest needs it, its delay begins now. */
export async function reviewLink(
  trx: Handle,
  link: { repositoryId: number; digest: Digest; isNew: boolean; now: number },
): Promise<void> {
  const { repositoryId, digest, isNew, now } = link
  if (!isNew) {
    await trx
      .updateTable('link_reviews')
      .set({ since: now, freed: CODES.unused })
      .where('repository_id', '=', repositoryId)
      .where('digest', '=', digest)
      .execute()
    return
  }
  await trx
    .insertInto('link_reviews')
    .values({ repository_id: repositoryId, digest, since: now, freed: CODES.unused, attempts: 0, not_before: 0 })
    .execute()
}

/** Manifests need these links from now on. */
export async function settleLinks(trx: Handle, repositoryId: number, digests: readonly Digest[]): Promise<void> {
  await inChunks(digests, (chunk) =>
    trx
      .deleteFrom('link_reviews')
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', chunk)
      .execute()
      .then(() => []),
  )
}

/**
 * Before manifests of a repository go (no more than one `in (...)` may have): links that only they need begin to wait. Resolves to
 * their digests. `unneededSince`: when what needed these manifests went; a blob that was uploaded or mounted then or later is
 * somebody's who counts on it, and no deletion freed it.
 */
export async function freeLinks(
  trx: Handle,
  manifestIds: readonly number[],
  now: number,
  unneededSince = Number.MAX_SAFE_INTEGER,
): Promise<Digest[]> {
  const freed = await trx
    .selectFrom('manifest_blobs as mine')
    .innerJoin('repository_blobs as link', (join) =>
      join.onRef('link.repository_id', '=', 'mine.repository_id').onRef('link.digest', '=', 'mine.digest'),
    )
    .distinct()
    .select(['mine.repository_id', 'mine.digest', 'link.created_at as sent_at'])
    .where('mine.manifest_id', 'in', manifestIds)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('manifest_blobs as other')
            .select('other.manifest_id')
            .whereRef('other.repository_id', '=', 'mine.repository_id')
            .whereRef('other.digest', '=', 'mine.digest')
            .where('other.manifest_id', 'not in', manifestIds),
        ),
      ),
    )
    .execute()
  for (const cause of ['deleted', 'unused'] as const) {
    const review = { since: now, freed: CODES[cause], attempts: 0, not_before: 0 }
    const links = freed.filter(({ sent_at }) => (sent_at >= unneededSince ? 'unused' : 'deleted') === cause)
    await inChunks(links, (chunk) =>
      trx
        .insertInto('link_reviews')
        .values(chunk.map(({ repository_id, digest }) => ({ repository_id, digest, ...review })))
        .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doUpdateSet(review))
        .execute(),
    )
  }
  return freed.map(({ digest }) => digest)
}

/** Those of the manifests that have no tag begin to wait; one that waits already does so from now on. */
export async function reviewManifests(
  trx: Handle,
  manifestIds: readonly number[],
  cause: Cause,
  now: number,
): Promise<void> {
  const review = { since: now, freed: CODES[cause], attempts: 0, not_before: 0 }
  const untagged = await inChunks(manifestIds, (ids) =>
    trx
      .selectFrom('manifests')
      .select('id')
      .where('id', 'in', ids)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('tags').select('tags.name').whereRef('tags.manifest_id', '=', 'manifests.id'))),
      )
      .execute(),
  )
  await inChunks(untagged, (chunk) =>
    trx
      .insertInto('manifest_reviews')
      .values(chunk.map(({ id }) => ({ manifest_id: id, ...review })))
      // Never to an earlier time: what goes with its index has waited no longer than since it was pushed again by itself.
      .onConflict((conflict) =>
        conflict.column('manifest_id').doUpdateSet(review).where('manifest_reviews.since', '<=', now),
      )
      .execute(),
  )
}

/** These manifests have a tag, or an index that names them, from now on. */
export async function settleManifests(trx: Handle, manifestIds: readonly number[]): Promise<void> {
  await inChunks(manifestIds, (ids) =>
    trx
      .deleteFrom('manifest_reviews')
      .where('manifest_id', 'in', ids)
      .execute()
      .then(() => []),
  )
}

const unheld = statement((trx, { digest }: { digest: Digest }) =>
  trx
    .selectFrom('blobs')
    .select(['size', 'storage_key'])
    .where('digest', '=', digest)
    .where('state', '!=', 'deleting')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('repository_blobs').select('digest').where('repository_blobs.digest', '=', digest))),
    )
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('trash_references').select('held_digest').where('held_digest', '=', digest))),
    ),
)
const mark = statement((trx, { digest }: { digest: Digest }) =>
  trx.updateTable('blobs').set({ state: 'deleting' }).where('digest', '=', digest),
)

/**
 * Makes the blob `deleting`, and its bytes something to be unlinked, if nothing holds it any more: no link, and nothing in
 * the trash. One statement asks for both, for a holder of one kind may become one of the other meanwhile. The caller
 * holds the lock of the blob's row. Resolves to the blob's size when it did.
 */
export async function discardUnheld(trx: Handle, digest: Digest, now: number): Promise<number | undefined> {
  const [blob] = (await unheld(trx, { digest })).rows
  if (blob === undefined) return undefined
  await mark(trx, { digest })
  await discard(trx, { key: blob.storage_key, digest, size: blob.size, kind: 'blob', now })
  return blob.size
}

interface Discarded {
  key: string
  digest: Digest
  size: number
  kind: 'blob' | 'copy'
  now: number
}

const addDiscarded = statement((trx, { key, digest, size, kind, now }: Discarded) =>
  trx
    .insertInto('discarded_objects')
    .values({ storage_key: key, digest, size, kind, attempts: 0, due_at: now })
    .onConflict((conflict) => conflict.column('storage_key').doNothing()),
)

/** From now on no commit takes the key, and the collector unlinks what is there. */
export async function discard(trx: Handle, object: Discarded): Promise<void> {
  await addDiscarded(trx, object)
}
