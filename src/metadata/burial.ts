import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks } from './database.ts'
import { indexEdges } from './index-edges.ts'
import type { Change } from './metadata.ts'
import { buryPulls, type PullsOfManifest, pullsOf } from './pulls.ts'
import { countBurial, countTags } from './quota-counts.ts'
import { updateListed } from './repositories.ts'
import { freeLinks, reviewManifests } from './reviews.ts'
import { recordRemovals } from './tag-history.ts'

/** How a manifest lies in the trash. */
export interface Grave {
  reason: 'deleted' | 'collected'
  batch: string | undefined
  /** Its window begins here. */
  deletedAt: number
}

interface Burial {
  repositoryId: number
  change: Change
  grave: Grave | undefined
  /** When these began to wait, and so did their children and referrers; undefined: now. */
  since?: number | undefined
}

interface Row {
  id: number
  digest: Digest
}

/** Tags that went, and blobs that no manifest of the repository needs any more. */
interface Buried {
  tags: string[]
  freed: Digest[]
}

/** See `buryAll`. */
export async function bury(trx: Handle, { manifestId, ...burial }: Burial & { manifestId: number }): Promise<Buried> {
  const row = await trx
    .selectFrom('manifests')
    .select(['id', 'digest'])
    .where('id', '=', manifestId)
    .executeTakeFirstOrThrow()
  return await buryAll(trx, [row], burial)
}

/**
 * Takes manifests away with their tags; with a grave they go to the trash, which holds their blobs from then on. Children of
 * them, and manifests that refer to them, become candidates of the collector; so do links that only they needed.
 * The caller holds the repository's lock. Ids alone lead to the rows: beside them, a repository's would make SQLite walk all
 * of its tags. So few statements for all of them, for building one costs as much as running it:
 * they are as many as one `in (...)` may have.
 */
export async function buryAll(trx: Handle, manifests: readonly Row[], burial: Burial): Promise<Buried> {
  const { repositoryId, change, grave } = burial
  const ids = manifests.map(({ id }) => id)
  const pulls = grave === undefined ? [] : await pullsOf(trx, ids)
  await recordRemovals(trx, ids, change)
  const tags = await trx.deleteFrom('tags').where('manifest_id', 'in', ids).returning(['name', 'manifest_id']).execute()
  const namesOf = new Map<number, string[]>(ids.map((id) => [id, []]))
  for (const { name, manifest_id } of tags) namesOf.get(manifest_id)?.push(name)
  // A tag is ASCII (OCI Distribution Specification 1.1, "Pulling manifests"): this is the order of bytes.
  for (const names of namesOf.values()) names.sort()
  if (grave !== undefined) await inter(trx, { manifests, namesOf, grave, change, pulls })
  const { children, referrers } = await dependantsOf(trx, repositoryId, manifests)
  const freed = await freeLinks(trx, ids, change.now, burial.since)
  const names = [...namesOf.values()].flat()
  await countTags(trx, repositoryId, names, -1, false)
  await countBurial(trx, repositoryId, ids)
  await trx.deleteFrom('manifests').where('id', 'in', ids).execute()
  await reviewManifests(trx, [...new Set([...children, ...referrers])], 'deleted', burial.since ?? change.now)
  await updateListed(trx, repositoryId)
  return { tags: names, freed }
}

/** Manifests of the repository that may have nothing but these to live for: their children, and what refers to them. */
export async function dependantsOf(
  trx: Handle,
  repositoryId: number,
  manifests: readonly Row[],
): Promise<{ children: number[]; referrers: number[] }> {
  const own = new Set(manifests.map(({ id }) => id))
  const children = await indexEdges(trx, 'above', [...own])
  const referrers = await inChunks(manifests, (chunk) =>
    trx
      .selectFrom('manifests')
      .select('id')
      .where('repository_id', '=', repositoryId)
      .where(
        'subject_digest',
        'in',
        chunk.map(({ digest }) => digest),
      )
      .execute(),
  )
  const others = (ids: readonly number[]) => ids.filter((id) => !own.has(id))
  return { children: others(children.map(({ below }) => below)), referrers: others(referrers.map(({ id }) => id)) }
}

/** The bytes stay in the database from one table to the other. */
async function inter(
  trx: Handle,
  interment: {
    manifests: readonly Row[]
    namesOf: ReadonlyMap<number, readonly string[]>
    grave: Grave
    change: Change
    pulls: readonly PullsOfManifest[]
  },
): Promise<void> {
  const { manifests, namesOf, grave, change, pulls } = interment
  const tagged = [...namesOf].filter(([, names]) => names.length > 0)
  const whens = tagged.map(([id, names]) => sql`when ${id} then ${JSON.stringify(names)}`)
  const tags = whens.length === 0 ? sql`'[]'` : sql`case id ${sql.join(whens, sql` `)} else '[]' end`
  const trashIds = await newIds(
    trx,
    manifests.map(({ digest }) => digest),
  )
  const numbers = manifests.map(({ id, digest }) => sql`when ${id} then ${trashIds.get(digest)}`)
  await trx
    .insertInto('trash')
    .columns([
      ...(['id', 'repository_id', 'digest', 'media_type', 'size', 'subject_digest', 'artifact_type'] as const),
      ...(['annotations', 'pushed_at', 'bytes', 'tags', 'reason', 'batch', 'actor', 'deleted_at'] as const),
      ...(['attempts', 'not_before'] as const),
    ])
    .expression((from) =>
      from
        .selectFrom('manifests')
        .select(({ val, lit, cast }) => [
          sql<number>`cast(case id ${sql.join(numbers, sql` `)} end as bigint)`.as('id'),
          ...(['repository_id', 'digest', 'media_type', 'size', 'subject_digest', 'artifact_type'] as const),
          ...(['annotations', 'pushed_at', 'bytes'] as const),
          sql<string>`cast(${tags} as text)`.as('tags'),
          cast<string>(val(grave.reason), 'text').as('reason'),
          cast<string | null>(val(grave.batch ?? null), 'text').as('batch'),
          cast<string>(val(change.actor), 'text').as('actor'),
          cast<number>(val(grave.deletedAt), 'bigint').as('deleted_at'),
          lit(0).as('attempts'),
          lit(0).as('not_before'),
        ])
        .where('id', 'in', [...namesOf.keys()]),
    )
    .execute()
  await trx
    .insertInto('trash_references')
    .columns(['trash_id', 'digest', 'kind', 'held_digest'])
    .expression((from) =>
      from
        .selectFrom('trash')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'trash.repository_id')
            .onRef('manifests.digest', '=', 'trash.digest'),
        )
        .innerJoin('manifest_references', 'manifest_references.manifest_id', 'manifests.id')
        .leftJoin('manifest_blobs', (join) =>
          join
            .onRef('manifest_blobs.manifest_id', '=', 'manifest_references.manifest_id')
            .onRef('manifest_blobs.digest', '=', 'manifest_references.digest')
            .on('manifest_references.kind', '=', 'blob'),
        )
        .select([
          'trash.id as trash_id',
          'manifest_references.digest',
          'manifest_references.kind',
          'manifest_blobs.digest as held_digest',
        ])
        .where('trash.id', 'in', [...trashIds.values()]),
    )
    .execute()
  const digestOf = new Map(manifests.map(({ id, digest }) => [id, digest]))
  await buryPulls(
    trx,
    pulls.flatMap(({ manifest_id, ...row }) => {
      const trash_id = trashIds.get(digestOf.get(manifest_id) ?? ('' as Digest))
      return trash_id === undefined ? [] : [{ trash_id, ...row }]
    }),
  )
}

/** Ids in the trash that nothing ever had. Their order is that of the digests, which restorations follow. */
async function newIds(trx: Handle, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, number>> {
  const sorted = [...digests].sort()
  const rows = await trx
    .insertInto('trash_ids')
    .values(sorted.map((digest) => ({ digest })))
    .returning('id')
    .execute()
  const ids = rows.map(({ id }) => id).sort((one, other) => one - other)
  await trx.deleteFrom('trash_ids').where('id', 'in', ids).execute()
  return new Map(sorted.map((digest, index) => [digest, ids[index] as number]))
}
