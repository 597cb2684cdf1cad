import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks, type Tables } from './database.ts'
import {
  COUNTED,
  change,
  check,
  isCounted,
  type Over,
  overMore,
  prefixesOf,
  quotasOver,
  stepOf,
  wayOf,
} from './quota-over.ts'

/**
 * What quotas count, kept by every transaction that changes it. The caller holds the lock of the repository. `bound`: the
 * change is refused where a quota has no room for it (MetadataError `denied`); else it is counted all the same.
 *
 * A blob has a row in `quota_blobs` with the number of manifests below the prefix that need it, and counts once; a row with
 * none is of a blob that was uploaded or mounted, and waits for its manifest.
 */

/** A repository was made: it is counted from its first moment on. */
export async function countRepository(trx: Handle, repositoryId: number, name: string): Promise<void> {
  // Whoever makes a quota holds this row alone: it sees this repository, or this sees the quota.
  await trx.selectFrom('quota_list').select('id').where('id', '=', 1).forShare().execute()
  const quotas = await trx
    .selectFrom('quotas')
    .select('id')
    .where('prefix', 'in', prefixesOf(name))
    .where('state', '!=', 'removed')
    .execute()
  await overMore(
    trx,
    quotas.map(({ id }) => ({ repository_id: repositoryId, quota_id: id, step: COUNTED.all, cursor: '' })),
  )
}

/** The repository has a manifest from now on, or has none any more. */
export async function countListed(trx: Handle, repositoryId: number, by: 1 | -1, bound: boolean): Promise<void> {
  for (const over of await quotasOver(trx, repositoryId)) {
    if (stepOf(over) === COUNTED.all) await change(trx, over, { repositories: by }, bound)
  }
}

export async function countTags(
  trx: Handle,
  repositoryId: number,
  names: readonly string[],
  by: 1 | -1,
  bound: boolean,
): Promise<void> {
  if (names.length === 0) return
  for (const over of await quotasOver(trx, repositoryId)) {
    const counted = names.filter((name) => isCounted(over, 'tags', name))
    await change(trx, over, { tags: by * counted.length }, bound)
  }
}

/** A blob was uploaded or mounted: it waits, unless a manifest below the prefix needs it already. */
export async function countArrival(trx: Handle, repositoryId: number, digest: Digest, bound: boolean): Promise<void> {
  const quotas = await quotasOver(trx, repositoryId)
  if (quotas.length === 0) return
  const blob = await trx.selectFrom('blobs').select('size').where('digest', '=', digest).executeTakeFirstOrThrow()
  for (const over of quotas) {
    if (wayOf(over.step) !== 0) continue
    const added = await trx
      .insertInto('quota_blobs')
      .values({ quota_id: over.quota_id, digest, size: blob.size, needed: 0 })
      .onConflict((conflict) => conflict.columns(['quota_id', 'digest']).doNothing())
      .executeTakeFirst()
    if ((added.numInsertedOrUpdatedRows ?? 0n) === 0n) continue
    // Its manifest could not be put: the rest of the push is spared.
    if (bound) check(over, { bytes: blob.size })
    await change(trx, over, { waiting: blob.size }, bound)
  }
}

/** The link of a blob was taken away that no manifest of the repository needs. */
export async function countDeparture(trx: Handle, repositoryId: number, digest: Digest): Promise<void> {
  for (const over of await quotasOver(trx, repositoryId)) {
    const { quota_id } = over
    const gone = await trx
      .deleteFrom('quota_blobs')
      .where('quota_id', '=', quota_id)
      .where('digest', '=', digest)
      .where('needed', '=', 0)
      .where((expression) => linkedNowhere(expression, quota_id))
      .returning('size')
      .executeTakeFirst()
    if (gone !== undefined) await change(trx, over, { waiting: -gone.size }, false)
  }
}

/** Of a blob that a quota counts: no repository below it has it (those that come or go aside). */
export function linkedNowhere(
  { not, exists, selectFrom }: ExpressionBuilder<Tables, 'quota_blobs'>,
  quotaId: number,
): Expression<SqlBool> {
  return not(
    exists(
      selectFrom('repository_blobs')
        .innerJoin('quota_repositories', 'quota_repositories.repository_id', 'repository_blobs.repository_id')
        .select('repository_blobs.digest')
        .whereRef('repository_blobs.digest', '=', 'quota_blobs.digest')
        .where('quota_repositories.quota_id', '=', quotaId)
        .where('quota_repositories.step', '>=', 0),
    ),
  )
}

interface CountedManifest {
  digest: Digest
  /** Bytes of the manifest itself; 0: they are counted already. */
  size: number
  /** Blobs that it needs, and that the repository has. */
  blobs: readonly Digest[]
}

/** A manifest was put, or came to need blobs that it named before. */
export async function countManifest(
  trx: Handle,
  repositoryId: number,
  { digest, size, blobs }: CountedManifest,
  bound: boolean,
): Promise<void> {
  for (const over of await quotasOver(trx, repositoryId)) {
    if (!isCounted(over, 'manifests', digest)) continue
    const needed = await need(
      trx,
      over,
      blobs.map((blob) => [blob, 1]),
    )
    await change(trx, over, { ...needed, bytes: needed.bytes + size }, bound)
  }
}

/** Manifests need each of these blobs so many times more. Resolves to what that changes. */
export async function need(
  trx: Handle,
  over: Over,
  times: readonly (readonly [Digest, number])[],
): Promise<{ bytes: number; waiting: number }> {
  let [bytes, waiting] = [0, 0]
  const { quota_id } = over
  await inChunks(times, async (chunk) => {
    const digests = chunk.map(([digest]) => digest)
    const known = await rowsOf(trx, over, digests)
    const fresh = digests.filter((digest) => !known.has(digest))
    const sizes = await inChunks(fresh, (some) =>
      trx.selectFrom('blobs').select(['digest', 'size']).where('digest', 'in', some).execute(),
    )
    const sizeOf = new Map(sizes.map(({ digest, size }) => [digest, size]))
    for (const { size, needed } of known.values()) {
      if (needed > 0) continue
      bytes += size
      waiting -= size
    }
    for (const { size } of sizes) bytes += size
    const rows = chunk.map(([digest, count]) => {
      const size = known.get(digest)?.size ?? sizeOf.get(digest) ?? 0
      return { quota_id, digest, size, needed: count }
    })
    await trx
      .insertInto('quota_blobs')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .columns(['quota_id', 'digest'])
          .doUpdateSet(({ eb, ref }) => ({ needed: eb(ref('quota_blobs.needed'), '+', ref('excluded.needed')) })),
      )
      .execute()
    return []
  })
  return { bytes, waiting }
}

/** Before manifests of a repository go: what they alone needed below a prefix is free there. */
export async function countBurial(trx: Handle, repositoryId: number, manifestIds: readonly number[]): Promise<void> {
  const quotas = await quotasOver(trx, repositoryId)
  if (quotas.length === 0) return
  const manifests = await inChunks(manifestIds, (ids) =>
    trx.selectFrom('manifests').select(['id', 'digest', 'size']).where('id', 'in', ids).execute(),
  )
  const held = await inChunks(manifestIds, (ids) =>
    trx.selectFrom('manifest_blobs').select(['manifest_id', 'digest']).where('manifest_id', 'in', ids).execute(),
  )
  for (const over of quotas) {
    const counted = manifests.filter(({ digest }) => isCounted(over, 'manifests', digest))
    const ids = new Set(counted.map(({ id }) => id))
    const times = new Map<Digest, number>()
    for (const { manifest_id, digest } of held)
      if (ids.has(manifest_id)) times.set(digest, (times.get(digest) ?? 0) + 1)
    const freed = await needNoMore(trx, over, [...times])
    await change(trx, over, { bytes: counted.reduce((sum, { size }) => sum - size, -freed) }, false)
  }
}

/** Manifests came to hold the blob that they named before it came. */
export async function countHeld(
  trx: Handle,
  repositoryId: number,
  manifestIds: readonly number[],
  blob: Digest,
  bound: boolean,
): Promise<void> {
  const manifests = await inChunks(manifestIds, (ids) =>
    trx.selectFrom('manifests').select('digest').where('id', 'in', ids).execute(),
  )
  for (const { digest } of manifests) await countManifest(trx, repositoryId, { digest, size: 0, blobs: [blob] }, bound)
}

/** Runs a work that gives a manifest other bytes, or has it need other blobs: a damaged one is set right. */
export async function recounting(
  trx: Handle,
  repositoryId: number,
  manifestId: number,
  work: () => Promise<void>,
): Promise<void> {
  await countBurial(trx, repositoryId, [manifestId])
  await work()
  if ((await quotasOver(trx, repositoryId)).length === 0) return
  const { digest, size } = await trx
    .selectFrom('manifests')
    .select(['digest', 'size'])
    .where('id', '=', manifestId)
    .executeTakeFirstOrThrow()
  const held = await trx.selectFrom('manifest_blobs').select('digest').where('manifest_id', '=', manifestId).execute()
  const blobs = held.map((row) => row.digest)
  await countManifest(trx, repositoryId, { digest, size, blobs }, false)
}

/** Resolves to the bytes that nothing below the prefix needs any more. */
export async function needNoMore(
  trx: Handle,
  over: Over,
  times: readonly (readonly [Digest, number])[],
): Promise<number> {
  let bytes = 0
  const { quota_id } = over
  await inChunks(times, async (chunk) => {
    const known = await rowsOf(
      trx,
      over,
      chunk.map(([digest]) => digest),
    )
    const free = chunk.flatMap(([digest, count]) => ((known.get(digest)?.needed ?? 0) <= count ? [digest] : []))
    for (const digest of free) bytes += known.get(digest)?.size ?? 0
    if (free.length > 0) {
      await trx.deleteFrom('quota_blobs').where('quota_id', '=', quota_id).where('digest', 'in', free).execute()
    }
    const kept = new Map(chunk.filter(([digest]) => !free.includes(digest)))
    for (const count of new Set(kept.values())) {
      const digests = [...kept].flatMap(([digest, each]) => (each === count ? [digest] : []))
      await trx
        .updateTable('quota_blobs')
        .set(({ eb, ref }) => ({ needed: eb(ref('needed'), '-', count) }))
        .where('quota_id', '=', quota_id)
        .where('digest', 'in', digests)
        .execute()
    }
    return []
  })
  return bytes
}

/** Another size than its row had: the bytes of a blob that were damaged are whole again. The caller holds the blob's lock. */
export async function countSize(trx: Handle, digest: Digest, size: number): Promise<void> {
  const rows = await trx
    .selectFrom('quota_blobs')
    .innerJoin('quotas', 'quotas.id', 'quota_blobs.quota_id')
    .select(['quotas.id', 'quota_blobs.size', 'quota_blobs.needed'])
    .where('quota_blobs.digest', '=', digest)
    .orderBy('quotas.id')
    .forNoKeyUpdate()
    .execute()
  for (const row of rows) {
    const by = size - row.size
    await trx
      .updateTable('quota_blobs')
      .set({ size })
      .where('quota_id', '=', row.id)
      .where('digest', '=', digest)
      .execute()
    await trx
      .updateTable('quotas')
      .set(({ eb, ref }) =>
        row.needed > 0 ? { bytes: eb(ref('bytes'), '+', by) } : { waiting: eb(ref('waiting'), '+', by) },
      )
      .where('id', '=', row.id)
      .execute()
  }
}

async function rowsOf(
  trx: Handle,
  { quota_id }: Over,
  digests: readonly Digest[],
): Promise<Map<Digest, { size: number; needed: number }>> {
  const rows = await inChunks(digests, (chunk) =>
    trx
      .selectFrom('quota_blobs')
      .select(['digest', 'size', 'needed'])
      .where('quota_id', '=', quota_id)
      .where('digest', 'in', chunk)
      .execute(),
  )
  return new Map(rows.map((row) => [row.digest, row]))
}
