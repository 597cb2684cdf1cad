import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import { linkedNowhere, need, needNoMore } from './quota-counts.ts'
import { COUNTED, change, isCounted, type Over, prefixesOf, quotasOver } from './quota-over.ts'

/**
 * A repository gets another name: quotas that are over the old one alone count it no more, and those over the new one alone
 * from now on, wholly. The caller holds its lock. @throws MetadataError `denied` where one of these has no room for it
 */
export async function countRename(trx: Handle, repositoryId: number, to: string): Promise<void> {
  // As for a repository that is made: whoever makes a quota meanwhile sees the new name, or is seen here.
  await trx.selectFrom('quota_list').select('id').where('id', '=', 1).forShare().execute()
  const prefixes = prefixesOf(to)
  const before = await quotasOver(trx, repositoryId)
  const kept = new Set(before.flatMap((over) => (prefixes.includes(over.prefix) ? [over.quota_id] : [])))
  for (const over of before) if (!kept.has(over.quota_id)) await leave(trx, repositoryId, over)
  const wanted = await trx
    .selectFrom('quotas')
    .select('id')
    .where('prefix', 'in', prefixes)
    .where('state', '!=', 'removed')
    .execute()
  const joined = wanted.map(({ id }) => id).filter((id) => !kept.has(id))
  if (joined.length === 0) return
  const rows = joined.map((id) => ({ repository_id: repositoryId, quota_id: id, step: COUNTED.all, cursor: '' }))
  await trx.insertInto('quota_repositories').values(rows).execute()
  const held = await contentsOf(trx, repositoryId, () => true)
  for (const over of await quotasOver(trx, repositoryId)) {
    if (!joined.includes(over.quota_id)) continue
    const needed = await need(trx, over, held.blobs)
    const { tags, repositories } = held
    await change(trx, over, { ...needed, bytes: needed.bytes + held.bytes, tags, repositories }, true)
  }
}

async function leave(trx: Handle, repositoryId: number, over: Over): Promise<void> {
  const { quota_id } = over
  const held = await contentsOf(trx, repositoryId, (kind, place) => isCounted(over, kind, place))
  const freed = await needNoMore(trx, over, held.blobs)
  await trx
    .deleteFrom('quota_repositories')
    .where('quota_id', '=', quota_id)
    .where('repository_id', '=', repositoryId)
    .execute()
  const gone = await trx
    .deleteFrom('quota_blobs')
    .where('quota_id', '=', quota_id)
    .where('needed', '=', 0)
    .where('digest', 'in', (from) =>
      from.selectFrom('repository_blobs').select('digest').where('repository_id', '=', repositoryId),
    )
    .where((expression) => linkedNowhere(expression, quota_id))
    .returning('size')
    .execute()
  const waiting = gone.reduce((sum, { size }) => sum + size, 0)
  const repositories = over.step === COUNTED.all ? held.repositories : 0
  const by = { bytes: -freed - held.bytes, waiting: -waiting, tags: -held.tags, repositories: -repositories }
  await change(trx, over, by, false)
}

/** What of the repository is counted: bytes of its manifests, and how many of them need each blob. */
async function contentsOf(
  trx: Handle,
  repositoryId: number,
  isIn: (kind: 'manifests' | 'tags', place: string) => boolean,
): Promise<{ bytes: number; blobs: [Digest, number][]; tags: number; repositories: number }> {
  const manifests = await trx
    .selectFrom('manifests')
    .select(['digest', 'size'])
    .where('repository_id', '=', repositoryId)
    .execute()
  const counted = manifests.filter(({ digest }) => isIn('manifests', digest))
  const last =
    counted
      .map(({ digest }) => digest)
      .sort()
      .at(-1) ?? ''
  const rows = await trx
    .selectFrom('manifest_blobs')
    .innerJoin('manifests', 'manifests.id', 'manifest_blobs.manifest_id')
    .select(['manifest_blobs.digest', sql<number>`count(*)`.as('times')])
    .where('manifest_blobs.repository_id', '=', repositoryId)
    .where('manifests.digest', '<=', last as Digest)
    .groupBy('manifest_blobs.digest')
    .orderBy('manifest_blobs.digest')
    .execute()
  const tags = await trx.selectFrom('tags').select('name').where('repository_id', '=', repositoryId).execute()
  const { listed } = await trx
    .selectFrom('repositories')
    .select('listed')
    .where('id', '=', repositoryId)
    .executeTakeFirstOrThrow()
  return {
    bytes: counted.reduce((sum, { size }) => sum + size, 0),
    blobs: rows.map(({ digest, times }) => [digest, Number(times)]),
    tags: tags.filter(({ name }) => isIn('tags', name)).length,
    repositories: listed,
  }
}
