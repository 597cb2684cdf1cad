import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { isNewer } from '../oci/retention-rule.ts'
import { bury, dependantsOf } from './burial.ts'
import { isNeeded } from './collection.ts'
import { type Handle, inChunks } from './database.ts'
import { queueEvents } from './events.ts'
import type { RetentionOutcome, RetentionStep, RetentionTaken } from './metadata.ts'
import { lockRepository } from './repositories.ts'
import { removeTag } from './tag-history.ts'

/** What of a step is still as the plan has it. */
interface Standing {
  step: RetentionStep
  manifestId: number
}

interface Work {
  trx: Handle
  repositoryId: number
  now: number
  batch: string
  taken: RetentionTaken
}

export async function take(
  trx: Handle,
  repository: string,
  steps: readonly RetentionStep[],
  { now, batch }: { now: number; batch: string },
): Promise<RetentionTaken> {
  const taken: RetentionTaken = { outcomes: steps.map(() => 'changed'), buried: [], freed: [], bytes: 0 }
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return taken
  const work = { trx, repositoryId, now, batch, taken }
  const settle = (step: RetentionStep, outcome: RetentionOutcome) => {
    taken.outcomes[steps.indexOf(step)] = outcome
  }
  const tags = await standingTags(work, steps)
  const spared = await lastOf(work, tags)
  if (spared !== undefined) settle(spared.step, 'last')
  const going = tags.filter((each) => each !== spared)
  for (const [manifestId, own] of Map.groupBy(going, (each) => each.manifestId)) {
    await takeTags(work, manifestId, own)
    for (const { step } of own) settle(step, 'deleted')
  }
  for (const step of steps) if (step.kind === 'manifest') settle(step, await takeUntagged(work, step))
  taken.bytes += await bytesOf(work, taken.freed)
  return taken
}

/** Tags that still point where they pointed, and were not pushed again. */
async function standingTags({ trx, repositoryId }: Work, steps: readonly RetentionStep[]): Promise<Standing[]> {
  const wanted = steps.filter(({ kind }) => kind === 'tag')
  const rows = await inChunks(
    wanted.map(({ name }) => name),
    (names) =>
      trx
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .select(['tags.name', 'tags.manifest_id', 'manifests.digest', 'tags.updated_at'])
        .where('tags.repository_id', '=', repositoryId)
        .where('tags.name', 'in', names)
        .execute(),
  )
  const found = new Map(rows.map((row) => [row.name, row]))
  return wanted.flatMap((step) => {
    const row = found.get(step.name)
    if (row === undefined || row.digest !== step.digest || row.updated_at !== step.pushedAt) return []
    return [{ step, manifestId: row.manifest_id }]
  })
}

/** Where all tags of the repository would go: the newest of those that may not leave it empty. */
async function lastOf({ trx, repositoryId }: Work, tags: readonly Standing[]): Promise<Standing | undefined> {
  const guarded = tags.filter(({ step }) => !step.mayEmpty)
  if (guarded.length === 0) return undefined
  const names = tags.map(({ step }) => step.name)
  const other = await trx
    .selectFrom('tags')
    .select('name')
    .where('repository_id', '=', repositoryId)
    .where('name', 'not in', names)
    .limit(1)
    .executeTakeFirst()
  if (other !== undefined) return undefined
  return guarded.reduce((newest, each) => (isNewer(each.step, newest.step) ? each : newest))
}

/** The manifest goes with its last tag, unless something needs it. */
async function takeTags(work: Work, manifestId: number, own: readonly Standing[]): Promise<void> {
  const { trx, repositoryId, now } = work
  const first = own[0]?.step
  if (first === undefined) return
  const names = own.map(({ step }) => step.name)
  const other = await trx
    .selectFrom('tags')
    .select('name')
    .where('manifest_id', '=', manifestId)
    .where('name', 'not in', names)
    .limit(1)
    .executeTakeFirst()
  await queueEvents(
    trx,
    own.flatMap(({ step }) => step.events),
  )
  if (
    other === undefined &&
    !(await isNeeded(trx, { id: manifestId, repositoryId, digest: first.digest }, 'tags aside'))
  ) {
    await queueEvents(trx, first.manifestEvents)
    await buryWhole(work, manifestId, first.actor)
    return
  }
  for (const { step } of own) await removeTag(trx, { repositoryId, name: step.name, now, actor: step.actor })
}

async function takeUntagged(work: Work, step: RetentionStep): Promise<RetentionOutcome> {
  const { trx, repositoryId } = work
  const row = await trx
    .selectFrom('manifests')
    .innerJoin('manifest_reviews', 'manifest_reviews.manifest_id', 'manifests.id')
    .select(['manifests.id', 'manifest_reviews.since'])
    .where('manifests.repository_id', '=', repositoryId)
    .where('manifests.digest', '=', step.digest)
    .executeTakeFirst()
  if (row === undefined || row.since !== step.pushedAt) return 'changed'
  if (await isNeeded(trx, { id: row.id, repositoryId, digest: step.digest })) return 'changed'
  if (!step.mayEmpty && (await isLastManifest(work, row.id))) return 'last'
  await queueEvents(trx, step.events)
  await buryWhole(work, row.id, step.actor)
  return 'deleted'
}

/** Whether the repository has no tag, and no other manifest that stands by itself. */
async function isLastManifest({ trx, repositoryId }: Work, id: number): Promise<boolean> {
  const tag = trx.selectFrom('tags').select('name').where('repository_id', '=', repositoryId).limit(1)
  if ((await tag.execute()).length > 0) return false
  const others = await trx
    .selectFrom('manifest_reviews')
    .innerJoin('manifests', 'manifests.id', 'manifest_reviews.manifest_id')
    .select(['manifests.id', 'manifests.digest'])
    .where('manifests.repository_id', '=', repositoryId)
    .where('manifests.id', '!=', id)
    .limit(LOOKED_AT)
    .execute()
  for (const other of others) if (!(await isNeeded(trx, { ...other, repositoryId }))) return false
  return true
}

/** Where there are more, one of them is taken to stand by itself. */
const LOOKED_AT = 100

/** To the trash, with what nothing else needs below it: one image, and one restoration. */
async function buryWhole(work: Work, manifestId: number, actor: string): Promise<void> {
  const { trx, repositoryId, now, batch, taken } = work
  const waiting = [{ id: manifestId, reason: 'deleted' as 'deleted' | 'collected' }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const manifest = await trx
      .selectFrom('manifests')
      .select(['id', 'digest', 'size'])
      .where('id', '=', next.id)
      .executeTakeFirst()
    if (manifest === undefined) continue
    if (next.id !== manifestId && (await isNeeded(trx, { ...manifest, repositoryId }))) continue
    const { children, referrers } = await dependantsOf(trx, repositoryId, [manifest])
    const grave = { reason: next.reason, batch, deletedAt: now }
    const { freed } = await bury(trx, { repositoryId, manifestId: manifest.id, change: { now, actor }, grave })
    taken.buried.push(manifest.digest)
    taken.freed.push(...freed)
    taken.bytes += manifest.size
    // What refers to it comes back from the trash with it if the collector's reason is given.
    waiting.push(...children.map((id) => ({ id, reason: 'deleted' as const })))
    waiting.push(...referrers.map((id) => ({ id, reason: 'collected' as const })))
  }
}

/** Of blobs that this repository freed, those that no other one has. */
async function bytesOf({ trx, repositoryId }: Work, freed: readonly Digest[]): Promise<number> {
  const sums = await inChunks([...new Set(freed)], (digests) =>
    trx
      .selectFrom('blobs')
      .select(sql<number>`coalesce(sum(blobs.size), 0)`.as('bytes'))
      .where('blobs.digest', 'in', digests)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('repository_blobs')
              .select('repository_blobs.digest')
              .whereRef('repository_blobs.digest', '=', 'blobs.digest')
              .where('repository_blobs.repository_id', '!=', repositoryId),
          ),
        ),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifest_blobs')
              .select('manifest_blobs.digest')
              .whereRef('manifest_blobs.digest', '=', 'blobs.digest')
              .where('manifest_blobs.repository_id', '=', repositoryId),
          ),
        ),
      )
      .execute(),
  )
  return sums.reduce((sum, { bytes }) => sum + Number(bytes), 0)
}
