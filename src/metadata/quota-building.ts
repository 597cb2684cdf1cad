import type { Handle } from './database.ts'
import { COMING, COUNTED, GOING, overMore, quotasOver, wayOf } from './quota-over.ts'
import { countDown, countUp } from './quota-walk.ts'

/** Names of repositories that one portion takes over, and repositories and manifests that it counts. */
const NAMES = 500
const REPOSITORIES = 20
const MANIFESTS = 100
/** Rows that it forgets. */
const FORGOTTEN = 2000

/**
 * One portion of the work that a new quota means for what was there before, or an old one for what it has counted. First every
 * repository below the prefix gets its row, then each is counted under its lock; changes meanwhile are counted by those who
 * make them where this has been, and by this where it comes later. Then what repositories leave behind that have another name
 * by now. Resolves to whether there is more to do.
 */
export async function countPortion(trx: Handle, most = MANIFESTS): Promise<boolean> {
  const quota = await trx
    .selectFrom('quotas')
    .select(['id', 'prefix', 'state', 'taken_to'])
    .where('state', '!=', 'exact')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  if (quota === undefined) return await goOn(trx, most)
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
  await overMore(trx, rows)
  const last = rows.length < NAMES ? null : (found.at(-1)?.name ?? null)
  await trx.updateTable('quotas').set({ taken_to: last }).where('id', '=', quotaId).execute()
}

async function countRepositories(trx: Handle, quotaId: number, most: number): Promise<void> {
  const waiting = await trx
    .selectFrom('quota_repositories')
    .select('repository_id')
    .where('quota_id', '=', quotaId)
    .where('step', '>=', COUNTED.manifests)
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
    if (!(await lockNow(trx, repositoryId))) continue
    const over = (await quotasOver(trx, repositoryId)).find((each) => each.quota_id === quotaId)
    if (over === undefined || over.step === COUNTED.all) continue
    left -= (await countUp(trx, repositoryId, over, left)).manifests
    if (left <= 0) return
  }
}

/** Whoever has it may wait for a quota that this holds. */
async function lockNow(trx: Handle, repositoryId: number): Promise<boolean> {
  const row = await trx
    .selectFrom('repositories')
    .select('id')
    .where('id', '=', repositoryId)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  return row !== undefined
}

/** Quotas that still count a repository whose name they are not over any more. */
function left(read: Handle) {
  return read
    .selectFrom('quotas')
    .innerJoin('quota_repositories', 'quota_repositories.quota_id', 'quotas.id')
    .select(['quota_id', 'repository_id'])
    .where('state', '=', 'exact')
    .where('step', '>=', GOING + COUNTED.nothing)
    .where('step', '<', 0)
}

/** Whether a portion would have anything to do. */
export async function isBehind(read: Handle): Promise<boolean> {
  const unsettled = await read.selectFrom('quotas').select('id').where('state', '!=', 'exact').limit(1).execute()
  return unsettled.length > 0 || (await left(read).limit(1).execute()).length > 0
}

async function goOn(trx: Handle, most: number): Promise<boolean> {
  const waiting = await left(trx).limit(REPOSITORIES).execute()
  let budget = most
  for (const { quota_id, repository_id } of waiting) {
    if (budget <= 0) break
    if (await lockNow(trx, repository_id)) budget -= await takeBack(trx, repository_id, budget, quota_id)
  }
  return waiting.length > 0
}

/**
 * Takes back what quotas (or one) count of a repository that they are not over any more, which the caller holds. Resolves to how many
 * manifests that came to.
 */
export async function takeBack(trx: Handle, repositoryId: number, most: number, quotaId?: number): Promise<number> {
  let taken = 0
  while (taken < most) {
    const over = (await quotasOver(trx, repositoryId)).find(
      ({ quota_id, step }) => wayOf(step) === GOING && (quotaId === undefined || quota_id === quotaId),
    )
    if (over === undefined) break
    taken += await countDown(trx, repositoryId, over, most - taken)
  }
  return taken
}

/**
 * Renames that did not come to their end leave quotas that count repositories in advance: of one that the caller holds, or of all.
 * From now on that is taken back.
 */
export async function giveUp(trx: Handle, repositoryId?: number): Promise<void> {
  await trx
    .updateTable('quota_repositories')
    .set(({ eb, ref }) => ({ step: eb(ref('step'), '+', GOING - COMING) }))
    .where('step', '<', GOING + COUNTED.nothing)
    // An index leads to either.
    .where(({ eb, selectFrom }) =>
      repositoryId === undefined
        ? eb('quota_id', 'in', selectFrom('quotas').select('quotas.id'))
        : eb('repository_id', '=', repositoryId),
    )
    .execute()
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
