import type { Handle } from './database.ts'
import { MetadataError, type QuotaDenial } from './metadata.ts'
import { takeBack } from './quota-building.ts'
import {
  COMING,
  COUNTED,
  GOING,
  type Over,
  overMore,
  placeOf,
  prefixesOf,
  quotasOver,
  stepOf,
  wayOf,
} from './quota-over.ts'
import { countUp } from './quota-walk.ts'

/**
 * A repository is to get another name. Quotas that are over the new one alone count it in advance, in portions of `most` manifests
 * between which anything may change there, so that the room is theirs before the name is; quotas over the old one alone count it
 * until that is taken back (`countPortion`). The name itself changes in one moment, which is when this resolves to true: there
 * is as much room as it needs. The caller holds the repository.
 * @throws MetadataError `denied` where a quota has no room for it
 */
export async function countRename(trx: Handle, repositoryId: number, to: string, most: number): Promise<boolean> {
  // As for a repository that is made: whoever makes a quota meanwhile sees the new name, or is seen here.
  await trx.selectFrom('quota_list').select('id').where('id', '=', 1).forShare().execute()
  const wanted = await trx
    .selectFrom('quotas')
    .select('id')
    .where('prefix', 'in', prefixesOf(to))
    .where('state', '!=', 'removed')
    .execute()
  const wantedIds = new Set(wanted.map(({ id }) => id))
  await join(trx, repositoryId, [...wantedIds])
  let left = most
  for (;;) {
    const quotas = await quotasOver(trx, repositoryId)
    const coming = quotas.filter(({ quota_id, step }) => wantedIds.has(quota_id) && wayOf(step) === COMING)
    for (const over of coming) refuse(over)
    const unfinished = coming.find((over) => stepOf(over) !== COUNTED.all)
    if (unfinished === undefined) {
      for (const over of coming) await turn(trx, repositoryId, over, 0)
      for (const over of quotas) {
        // One that comes is of another rename, which does not find the old name any more.
        if (!wantedIds.has(over.quota_id) && wayOf(over.step) !== GOING) await turn(trx, repositoryId, over, GOING)
      }
      await takeBack(trx, repositoryId, left)
      return true
    }
    if (left <= 0) return false
    left -= await bring(trx, repositoryId, unfinished, left)
  }
}

/** Rows for quotas that know nothing of the repository; what they still count of it, after another rename, need not be counted again. */
async function join(trx: Handle, repositoryId: number, quotaIds: readonly number[]): Promise<void> {
  const known = await quotasOver(trx, repositoryId)
  const fresh = quotaIds.filter((id) => known.every(({ quota_id }) => quota_id !== id))
  const step = COMING + COUNTED.manifests
  await overMore(
    trx,
    fresh.map((id) => ({ repository_id: repositoryId, quota_id: id, step, cursor: '' })),
  )
  for (const over of known) {
    if (!quotaIds.includes(over.quota_id) || wayOf(over.step) !== GOING) continue
    const isNone = stepOf(over) === COUNTED.nothing
    await turn(trx, repositoryId, isNone ? { ...over, step: GOING + COUNTED.manifests, cursor: '' } : over, COMING)
  }
}

/** What is counted stays as it is; from now on it goes another way (COMING, GOING), or belongs there (0). */
async function turn(trx: Handle, repositoryId: number, over: Over, way: number): Promise<void> {
  await trx
    .updateTable('quota_repositories')
    .set({ step: stepOf(over) + way, cursor: placeOf(over) })
    .where('repository_id', '=', repositoryId)
    .where('quota_id', '=', over.quota_id)
    .execute()
}

/** Counts a portion in advance, and notes what all of them brought. Resolves to how many manifests it came to. */
async function bring(trx: Handle, repositoryId: number, over: Over, most: number): Promise<number> {
  const brought = broughtOf(over)
  const { manifests, by, cursor } = await countUp(trx, repositoryId, over, most)
  const sums = RESOURCES.map((resource) => brought[resource] + (by[resource] ?? 0))
  await trx
    .updateTable('quota_repositories')
    .set({ cursor: [cursor, ...sums].join(' ') })
    .where('repository_id', '=', repositoryId)
    .where('quota_id', '=', over.quota_id)
    .execute()
  return manifests
}

const RESOURCES = ['bytes', 'tags', 'repositories'] as const

function broughtOf({ cursor }: Over): Record<(typeof RESOURCES)[number], number> {
  const [, bytes = 0, tags = 0, repositories = 0] = cursor.split(' ').map(Number)
  return { bytes, tags, repositories }
}

/** @throws MetadataError `denied` where what it brought so far is more than there is room for */
function refuse(over: Over): void {
  if (over.state !== 'exact') return
  const brought = broughtOf(over)
  for (const resource of RESOURCES) {
    const allowed = over[`max_${resource}`]
    const asked = brought[resource]
    if (allowed === null || asked <= 0 || over[resource] <= allowed) continue
    const { prefix } = over
    const used = Math.max(over[resource] - asked, 0)
    const denial: QuotaDenial = { kind: 'quota', prefix, resource, used, asked, allowed }
    throw new MetadataError(
      'denied',
      `the quota of ${prefix} has no room for ${asked} ${resource} more`,
      undefined,
      denial,
    )
  }
}
