import type { Digest } from '../oci/digest.ts'
import { link } from './blobs.ts'
import type { Handle } from './database.ts'
import { surviveDeletion } from './deletion-survivors.ts'
import { store } from './manifests.ts'
import { buriedPulls, type PullsInTrash, restorePulls } from './pulls.ts'
import { reviewManifests } from './reviews.ts'

/** A manifest that is back from the trash. */
export interface Exhumed {
  id: number
  /** It, and what came with it: children, and referrers that were collected. */
  digests: Digest[]
  /** It, and those of the others that one deletion took along with it, with the tags that they had. */
  tagged: readonly Tagged[]
}

export interface Tagged {
  id: number
  digest: Digest
  tags: string[]
  pulls: PullsInTrash[]
}

/**
 * Brings the newest burial of the digest back, with its children and the referrers that the collector took, each with its
 * links. It has no tag then. Undefined when it is not in the trash. The caller holds the repository's lock.
 */
export async function exhume(
  trx: Handle,
  wanted: { repositoryId: number; digest: Digest; now: number },
): Promise<Exhumed | undefined> {
  const { repositoryId, digest, now } = wanted
  const first = await raise(trx, repositoryId, digest, now)
  if (first === undefined) return undefined
  const digests = [digest]
  const ids = [first.id]
  const tagged: Tagged[] = [first]
  // What refers to what may be pushed in any shape, but nothing is raised twice.
  const waiting = [...first.dependants]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const raised = await raise(trx, repositoryId, next, now)
    if (raised === undefined) continue
    digests.push(next)
    ids.push(raised.id)
    if (raised.batch !== null && raised.batch === first.batch) tagged.push(raised)
    waiting.push(...raised.dependants)
  }
  await surviveDeletion(trx, repositoryId, { manifests: ids, tags: [] })
  await reviewManifests(trx, ids, 'unused', now)
  return { id: first.id, digests, tagged }
}

async function raise(
  trx: Handle,
  repositoryId: number,
  digest: Digest,
  now: number,
): Promise<(Tagged & { batch: string | null; dependants: Digest[] }) | undefined> {
  const buried = await trx
    .selectFrom('trash')
    .selectAll()
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .orderBy('id', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst()
  if (buried === undefined) return undefined
  const references = await trx
    .selectFrom('trash_references')
    .select(['digest', 'kind', 'held_digest'])
    .where('trash_id', '=', buried.id)
    .orderBy('digest')
    .execute()
  for (const { held_digest } of references)
    if (held_digest !== null) await link(trx, repositoryId, held_digest, now, false)
  const id = await store(
    trx,
    repositoryId,
    {
      digest,
      mediaType: buried.media_type,
      bytes: buried.bytes,
      references: references.map((row) => ({ digest: row.digest, kind: row.kind, required: false })),
      subject: buried.subject_digest ?? undefined,
      artifactType: buried.artifact_type ?? undefined,
      annotations: buried.annotations === null ? undefined : (JSON.parse(buried.annotations) as Record<string, string>),
      now: buried.pushed_at,
    },
    false,
  )
  const pulls = await buriedPulls(trx, buried.id)
  await restorePulls(trx, id, pulls)
  // Not older burials of the same manifest: what those hold has to be looked at when they go.
  await trx.deleteFrom('trash').where('id', '=', buried.id).execute()
  const collected = await trx
    .selectFrom('trash')
    .select('digest')
    .where('repository_id', '=', repositoryId)
    .where('subject_digest', '=', digest)
    .where('reason', '=', 'collected')
    .execute()
  const children = references.filter(({ kind }) => kind === 'manifest')
  return {
    ...{ id, digest, pulls, batch: buried.batch },
    tags: JSON.parse(buried.tags) as string[],
    dependants: [...children, ...collected].map((row) => row.digest),
  }
}
