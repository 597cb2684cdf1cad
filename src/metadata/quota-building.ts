import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import { need } from './quota-counts.ts'
import { COUNTED, change, type Over, quotasOver } from './quota-over.ts'

/** Names of repositories that one portion takes over, and repositories, manifests, tags that it counts. */
const NAMES = 500
const REPOSITORIES = 20
const MANIFESTS = 100
const TAGS = 2000
/** Rows that it forgets. */
const FORGOTTEN = 2000

/**
 * One portion of the work that a new quota means for what was there before, or an old one for what it has counted. First every
 * repository below the prefix gets its row, then each is counted under its lock; changes meanwhile are counted by those who
 * make them where this has been, and by this where it comes later. Resolves to whether there is more to do.
 */
export async function countPortion(trx: Handle, most = MANIFESTS): Promise<boolean> {
  const quota = await trx
    .selectFrom('quotas')
    .select(['id', 'prefix', 'state', 'taken_to'])
    .where('state', '!=', 'exact')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  if (quota === undefined) return false
  if (quota.state === 'removed') await forget(trx, quota.id)
  else if (quota.taken_to !== null) await takeOver(trx, quota.id, quota.prefix, quota.taken_to)
  else await countRepositories(trx, quota.id, most)
  return true
}

async function takeOver(trx: Handle, quotaId: number, prefix: string, after: string): Promise<void> {
  const held = await trx
    .selectFrom('quotas')
    .select('id')
    .where('id', '=', quotaId)
    .where('state', '=', 'counting')
    .where('taken_to', '=', after)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (held === undefined) return
  const found = await trx
    .selectFrom('repositories')
    .select(['id', 'name'])
    .$if(prefix !== '', (query) =>
      query.where(({ eb, or, and }) =>
        // '0' follows '/' in the order of bytes.
        or([eb('name', '=', prefix), and([eb('name', '>=', `${prefix}/`), eb('name', '<', `${prefix}0`)])]),
      ),
    )
    .where('name', '>', after)
    .orderBy('name')
    .limit(NAMES)
    .execute()
  const rows = found.map(({ id }) => ({ repository_id: id, quota_id: quotaId, step: COUNTED.manifests, cursor: '' }))
  if (rows.length > 0) {
    await trx
      .insertInto('quota_repositories')
      .values(rows)
      .onConflict((conflict) => conflict.columns(['repository_id', 'quota_id']).doNothing())
      .execute()
  }
  const last = rows.length < NAMES ? null : (found.at(-1)?.name ?? null)
  await trx.updateTable('quotas').set({ taken_to: last }).where('id', '=', quotaId).execute()
}

async function countRepositories(trx: Handle, quotaId: number, most: number): Promise<void> {
  const waiting = await trx
    .selectFrom('quota_repositories')
    .select('repository_id')
    .where('quota_id', '=', quotaId)
    .where('step', '<', COUNTED.all)
    .limit(REPOSITORIES)
    .execute()
  if (waiting.length === 0) {
    await trx
      .updateTable('quotas')
      .set({ state: 'exact' })
      .where('id', '=', quotaId)
      .where('state', '=', 'counting')
      .execute()
    return
  }
  let left = most
  for (const { repository_id: repositoryId } of waiting) {
    // Whoever has it may wait for the quota, which this holds from the first repository on.
    const locked = await trx
      .selectFrom('repositories')
      .select('listed')
      .where('id', '=', repositoryId)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst()
    if (locked === undefined) continue
    const over = (await quotasOver(trx, repositoryId)).find((each) => each.quota_id === quotaId)
    if (over === undefined || over.step === COUNTED.all) continue
    left -= await countOne(trx, repositoryId, over, locked.listed, left)
    if (left <= 0) return
  }
}

/** Counts `most` manifests at most. Resolves to how many it counted. */
async function countOne(trx: Handle, repositoryId: number, over: Over, listed: number, most: number): Promise<number> {
  const advance = async (step: number, cursor: string) => {
    await trx
      .updateTable('quota_repositories')
      .set({ step, cursor })
      .where('quota_id', '=', over.quota_id)
      .where('repository_id', '=', repositoryId)
      .execute()
  }
  if (over.step === COUNTED.manifests) {
    const manifests = await trx
      .selectFrom('manifests')
      .select(['id', 'digest', 'size'])
      .where('repository_id', '=', repositoryId)
      .where('digest', '>', over.cursor as Digest)
      .orderBy('digest')
      .limit(most)
      .execute()
    const bytes = manifests.reduce((sum, { size }) => sum + size, 0)
    const needed = await need(
      trx,
      over,
      await timesNeeded(
        trx,
        manifests.map(({ id }) => id),
      ),
    )
    await change(trx, over, { ...needed, bytes: needed.bytes + bytes }, false)
    if (manifests.length < most) await advance(COUNTED.tags, '')
    else await advance(COUNTED.manifests, manifests.at(-1)?.digest ?? '')
    return manifests.length + 1
  }
  const tags = await trx
    .selectFrom('tags')
    .select('name')
    .where('repository_id', '=', repositoryId)
    .where('name', '>', over.cursor)
    .orderBy('name')
    .limit(TAGS)
    .execute()
  const isLast = tags.length < TAGS
  await change(trx, over, { tags: tags.length, repositories: isLast ? listed : 0 }, false)
  if (isLast) await advance(COUNTED.all, '')
  else await advance(COUNTED.tags, tags.at(-1)?.name ?? '')
  return Math.ceil(tags.length / REPOSITORIES) + 1
}

async function timesNeeded(trx: Handle, manifestIds: readonly number[]): Promise<[Digest, number][]> {
  if (manifestIds.length === 0) return []
  const rows = await trx
    .selectFrom('manifest_blobs')
    .select(({ fn }) => ['digest', fn.countAll<number>().as('times')])
    .where('manifest_id', 'in', manifestIds)
    .groupBy('digest')
    .orderBy('digest')
    .execute()
  return rows.map(({ digest, times }) => [digest, Number(times)])
}

/** A quota that was removed goes when nothing speaks of it any more. */
async function forget(trx: Handle, quotaId: number): Promise<void> {
  const blobs = await trx
    .deleteFrom('quota_blobs')
    .where('quota_id', '=', quotaId)
    .where('digest', 'in', (from) =>
      from.selectFrom('quota_blobs').select('digest').where('quota_id', '=', quotaId).limit(FORGOTTEN),
    )
    .executeTakeFirst()
  if (blobs.numDeletedRows > 0n) return
  const repositories = await trx
    .deleteFrom('quota_repositories')
    .where('quota_id', '=', quotaId)
    .where('repository_id', 'in', (from) =>
      from.selectFrom('quota_repositories').select('repository_id').where('quota_id', '=', quotaId).limit(FORGOTTEN),
    )
    .executeTakeFirst()
  if (repositories.numDeletedRows > 0n) return
  await trx.deleteFrom('quotas').where('id', '=', quotaId).execute()
}
