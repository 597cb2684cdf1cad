import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import { indexEdges } from './index-edges.ts'
import type { Change } from './metadata.ts'
import { buryPulls, pullsOf } from './pulls.ts'
import { countBurial, countTags } from './quota-counts.ts'
import { updateListed } from './repositories.ts'
import { freeLinks, reviewManifests } from './reviews.ts'
import { recordMove } from './tag-history.ts'

/** How a manifest lies in the trash. */
export interface Grave {
  reason: 'deleted' | 'collected'
  batch: string | undefined
  /** Its window begins here. */
  deletedAt: number
}

/**
 * Takes a manifest away with its tags; with a grave it goes to the trash, which holds its blobs from then on. Children of
 * it, and manifests that refer to it, become candidates of the collector; so do links that only it needed.
 * The caller holds the repository's lock.
 */
export async function bury(
  trx: Handle,
  burial: {
    repositoryId: number
    manifestId: number
    change: Change
    grave: Grave | undefined
    /** When the children and referrers began to wait; undefined: now. */
    since?: number | undefined
  },
): Promise<{ tags: string[]; freed: Digest[] }> {
  const { repositoryId, manifestId, change, grave } = burial
  const manifest = await trx
    .selectFrom('manifests')
    .select(['digest', 'subject_digest'])
    .where('id', '=', manifestId)
    .executeTakeFirstOrThrow()
  const pulls = grave === undefined ? [] : await pullsOf(trx, repositoryId, manifestId)
  const tags = await trx
    .deleteFrom('tags')
    .where('repository_id', '=', repositoryId)
    .where('manifest_id', '=', manifestId)
    .returning('name')
    .execute()
  // A tag is ASCII (OCI Distribution Specification 1.1, "Pulling manifests"): this is the order of bytes.
  const names = tags.map(({ name }) => name).sort()
  for (const name of names) {
    await recordMove(trx, { repositoryId, name, from: manifest.digest, to: undefined }, change)
  }
  if (grave !== undefined) await buryPulls(trx, await inter(trx, manifestId, names, grave, change), pulls)
  const { children, referrers } = await dependantsOf(trx, repositoryId, manifestId, manifest.digest)
  const freed = await freeLinks(trx, manifestId, change.now)
  await countTags(trx, repositoryId, names, -1, false)
  await countBurial(trx, repositoryId, manifestId)
  await trx.deleteFrom('manifests').where('id', '=', manifestId).execute()
  await reviewManifests(trx, [...new Set([...children, ...referrers])], 'deleted', burial.since ?? change.now)
  await updateListed(trx, repositoryId)
  return { tags: names, freed }
}

/** Manifests of the repository that may have nothing but this one to live for: its children, and what refers to it. */
export async function dependantsOf(
  trx: Handle,
  repositoryId: number,
  manifestId: number,
  digest: Digest,
): Promise<{ children: number[]; referrers: number[] }> {
  const children = await indexEdges(trx, 'above', [manifestId])
  const referrers = await trx
    .selectFrom('manifests')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('subject_digest', '=', digest)
    .execute()
  const others = (ids: readonly number[]) => ids.filter((id) => id !== manifestId)
  return { children: others(children.map(({ below }) => below)), referrers: others(referrers.map(({ id }) => id)) }
}

/** The bytes stay in the database from one table to the other. Resolves to the id that it has in the trash. */
async function inter(
  trx: Handle,
  manifestId: number,
  tags: readonly string[],
  grave: Grave,
  change: Change,
): Promise<number> {
  const { id } = await trx
    .insertInto('trash')
    .columns([
      ...(['repository_id', 'digest', 'media_type', 'size', 'subject_digest', 'artifact_type', 'annotations'] as const),
      ...(['pushed_at', 'bytes', 'tags', 'reason', 'batch', 'actor', 'deleted_at', 'attempts', 'not_before'] as const),
    ])
    .expression((from) =>
      from
        .selectFrom('manifests')
        .select(({ val, lit, cast }) => [
          ...(['repository_id', 'digest', 'media_type', 'size', 'subject_digest', 'artifact_type'] as const),
          ...(['annotations', 'pushed_at', 'bytes'] as const),
          cast<string>(val(JSON.stringify(tags)), 'text').as('tags'),
          cast<string>(val(grave.reason), 'text').as('reason'),
          cast<string | null>(val(grave.batch ?? null), 'text').as('batch'),
          cast<string>(val(change.actor), 'text').as('actor'),
          cast<number>(val(grave.deletedAt), 'bigint').as('deleted_at'),
          lit(0).as('attempts'),
          lit(0).as('not_before'),
        ])
        .where('id', '=', manifestId),
    )
    .returning('id')
    .executeTakeFirstOrThrow()
  await trx
    .insertInto('trash_references')
    .columns(['trash_id', 'digest', 'kind', 'held_digest'])
    .expression((from) =>
      from
        .selectFrom('manifest_references')
        .leftJoin('manifest_blobs', (join) =>
          join
            .onRef('manifest_blobs.manifest_id', '=', 'manifest_references.manifest_id')
            .onRef('manifest_blobs.digest', '=', 'manifest_references.digest')
            .on('manifest_references.kind', '=', 'blob'),
        )
        .select(({ val, cast }) => [
          cast<number>(val(id), 'bigint').as('trash_id'),
          'manifest_references.digest',
          'manifest_references.kind',
          'manifest_blobs.digest as held_digest',
        ])
        .where('manifest_references.manifest_id', '=', manifestId),
    )
    .execute()
  return id
}
