import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks } from './database.ts'
import type { ReviewCursor } from './metadata.ts'

/** Rows that one call looks at. */
const SCAN = 2000

/**
 * Hands the collector what it does not know of, a bounded number of rows after `cursor`: links and manifests that nothing
 * needs wait from `due` on, and blobs without a link are to be unlinked then. Resolves to where to go on, or undefined.
 */
export async function reviewAdopted(trx: Handle, cursor: ReviewCursor, due: number): Promise<ReviewCursor | undefined> {
  switch (cursor.step) {
    case 'links':
      return (await reviewLinks(trx, cursor, due)) ?? { step: 'manifests', id: 0 }
    case 'manifests':
      return (await reviewManifests(trx, cursor.id, due)) ?? { step: 'blobs', digest: '' }
    case 'blobs':
      return await discardBlobs(trx, cursor.digest, due)
  }
}

async function reviewLinks(
  trx: Handle,
  cursor: Extract<ReviewCursor, { step: 'links' }>,
  due: number,
): Promise<ReviewCursor | undefined> {
  let { repositoryId, digest } = cursor
  for (let seen = 0; seen < SCAN; ) {
    const wanted = SCAN - seen
    const links = await trx
      .selectFrom('repository_blobs')
      .select('digest')
      .where('repository_id', '=', repositoryId)
      .where('digest', '>', digest as Digest)
      .orderBy('digest')
      .limit(wanted)
      .execute()
    await addLinkReviews(
      trx,
      repositoryId,
      links.map((link) => link.digest),
      due,
    )
    seen += links.length + 1
    if (links.length === wanted) {
      digest = links.at(-1)?.digest ?? ''
      continue
    }
    const next = await trx
      .selectFrom('repositories')
      .select('id')
      .where('id', '>', repositoryId)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    if (next === undefined) return undefined
    repositoryId = next.id
    digest = ''
  }
  return { step: 'links', repositoryId, digest }
}

async function addLinkReviews(
  trx: Handle,
  repositoryId: number,
  digests: readonly Digest[],
  due: number,
): Promise<void> {
  const settled = await inChunks(digests, (chunk) =>
    trx
      .selectFrom('manifest_blobs')
      .select('digest')
      .distinct()
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', chunk)
      .execute(),
  )
  const needed = new Set(settled.map(({ digest }) => digest))
  const review = { repository_id: repositoryId, since: due, freed: 0, attempts: 0, not_before: 0 }
  await inChunks(
    digests.filter((digest) => !needed.has(digest)),
    (chunk) =>
      trx
        .insertInto('link_reviews')
        .values(chunk.map((digest) => ({ ...review, digest })))
        .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
        .execute(),
  )
}

async function reviewManifests(trx: Handle, after: number, due: number): Promise<ReviewCursor | undefined> {
  const manifests = await trx
    .selectFrom('manifests')
    .select('id')
    .where('id', '>', after)
    .orderBy('id')
    .limit(SCAN)
    .execute()
  const ids = manifests.map(({ id }) => id)
  const tagged = await inChunks(ids, (chunk) =>
    trx.selectFrom('tags').select('manifest_id').distinct().where('manifest_id', 'in', chunk).execute(),
  )
  const settled = new Set(tagged.map((row) => row.manifest_id))
  const review = { since: due, freed: 0, attempts: 0, not_before: 0 }
  await inChunks(
    ids.filter((id) => !settled.has(id)),
    (chunk) =>
      trx
        .insertInto('manifest_reviews')
        .values(chunk.map((id) => ({ ...review, manifest_id: id })))
        .onConflict((conflict) => conflict.column('manifest_id').doNothing())
        .execute(),
  )
  return ids.length < SCAN ? undefined : { step: 'manifests', id: ids.at(-1) ?? after }
}

/** A live blob has a holder: one that nobody links is garbage with a date. */
async function discardBlobs(trx: Handle, after: string, due: number): Promise<ReviewCursor | undefined> {
  const blobs = await trx
    .selectFrom('blobs')
    .select(['digest', 'size', 'storage_key', 'state'])
    .where('digest', '>', after as Digest)
    .orderBy('digest')
    .limit(SCAN)
    .execute()
  const live = blobs.filter(({ state }) => state === 'live')
  const holders = await inChunks(
    live.map(({ digest }) => digest),
    async (chunk) => [
      ...(await trx.selectFrom('repository_blobs').select('digest').distinct().where('digest', 'in', chunk).execute()),
      ...(await trx
        .selectFrom('trash_references')
        .select('held_digest as digest')
        .distinct()
        .where('held_digest', 'in', chunk)
        .execute()),
    ],
  )
  const held = new Set<string | null>(holders.map(({ digest }) => digest))
  const lost = live.filter(({ digest }) => !held.has(digest))
  await inChunks(lost, async (chunk) => {
    await trx
      .updateTable('blobs')
      .set({ state: 'deleting' })
      .where(
        'digest',
        'in',
        chunk.map(({ digest }) => digest),
      )
      .execute()
    await trx
      .insertInto('discarded_objects')
      .values(
        chunk.map(({ digest, size, storage_key }) => ({
          storage_key,
          digest,
          size,
          kind: 'blob' as const,
          attempts: 0,
          due_at: due,
        })),
      )
      .onConflict((conflict) => conflict.column('storage_key').doNothing())
      .execute()
    return []
  })
  return blobs.length < SCAN ? undefined : { step: 'blobs', digest: blobs.at(-1)?.digest ?? after }
}
