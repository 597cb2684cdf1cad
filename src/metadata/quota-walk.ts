import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import { linkedNowhere, need, needNoMore } from './quota-counts.ts'
import { type Change, COUNTED, change, type Over, placeOf, stepOf, wayOf } from './quota-over.ts'

/**
 * One portion of the count of a repository for one quota: up, for what was there before, or down, for what is there no more. Each
 * tells what the portion came to, in manifests. The caller holds the repository and the quota.
 */

/** Tags that one portion takes, and how many of them cost as much as a manifest. */
const TAGS = 2000
const TAGS_A_MANIFEST = 20
/** Links that wait, of one portion. */
const LINKS = 500
/** Greater than any digest, and any tag. */
const LAST = '\u{10ffff}'

interface Portion {
  manifests: number
  /** What the quota counts more, or less. */
  by: Change
  step: number
  cursor: string
}

/** Counts `most` manifests at most, or some tags. Resolves to what it counted; there is more to do until the step is `all`. */
export async function countUp(trx: Handle, repositoryId: number, over: Over, most: number): Promise<Portion> {
  const portion =
    stepOf(over) === COUNTED.manifests
      ? await manifestsUp(trx, repositoryId, over, most)
      : await tagsUp(trx, repositoryId, over)
  await change(trx, over, portion.by, false)
  await advance(trx, repositoryId, over, portion)
  return portion
}

/** Takes back what was counted of `most` manifests at most, or of some tags; at the end the quota knows nothing of the repository. */
export async function countDown(trx: Handle, repositoryId: number, over: Over, most: number): Promise<number> {
  const step = stepOf(over)
  const portion =
    step === COUNTED.all
      ? await unlisted(trx, repositoryId)
      : step === COUNTED.tags
        ? await tagsDown(trx, repositoryId, over)
        : step === COUNTED.manifests
          ? await manifestsDown(trx, repositoryId, over, most)
          : await linksDown(trx, repositoryId, over)
  await change(trx, over, portion.by, false)
  if (portion.cursor === LAST && step === COUNTED.nothing) await forget(trx, repositoryId, over)
  else await advance(trx, repositoryId, over, portion)
  return portion.manifests
}

async function manifestsUp(trx: Handle, repositoryId: number, over: Over, most: number): Promise<Portion> {
  const manifests = await manifestsOf(trx, repositoryId)
    .where('digest', '>', placeOf(over) as Digest)
    .orderBy('digest')
    .limit(most)
    .execute()
  const { bytes, waiting } = await need(trx, over, await timesNeeded(trx, manifests))
  return {
    manifests: manifests.length + 1,
    by: { bytes: bytes + sizeOf(manifests), waiting },
    ...(manifests.length < most
      ? { step: COUNTED.tags, cursor: '' }
      : { step: COUNTED.manifests, cursor: manifests.at(-1)?.digest ?? '' }),
  }
}

async function tagsUp(trx: Handle, repositoryId: number, over: Over): Promise<Portion> {
  const tags = await tagsOf(trx, repositoryId).where('name', '>', placeOf(over)).orderBy('name').limit(TAGS).execute()
  const manifests = Math.ceil(tags.length / TAGS_A_MANIFEST) + 1
  if (tags.length === TAGS) {
    return { manifests, by: { tags: TAGS }, step: COUNTED.tags, cursor: tags.at(-1)?.name ?? '' }
  }
  const repositories = await listedOf(trx, repositoryId)
  return { manifests, by: { tags: tags.length, repositories }, step: COUNTED.all, cursor: '' }
}

async function unlisted(trx: Handle, repositoryId: number): Promise<Portion> {
  const by = { repositories: -(await listedOf(trx, repositoryId)) }
  return { manifests: 1, by, step: COUNTED.tags, cursor: LAST }
}

async function tagsDown(trx: Handle, repositoryId: number, over: Over): Promise<Portion> {
  const tags = await tagsOf(trx, repositoryId)
    .where('name', '<=', placeOf(over))
    .orderBy('name', 'desc')
    .limit(TAGS + 1)
    .execute()
  const gone = tags.slice(0, TAGS)
  return {
    manifests: Math.ceil(gone.length / TAGS_A_MANIFEST) + 1,
    by: { tags: -gone.length },
    ...next(tags[TAGS]?.name, COUNTED.tags, COUNTED.manifests),
  }
}

async function manifestsDown(trx: Handle, repositoryId: number, over: Over, most: number): Promise<Portion> {
  const manifests = await manifestsOf(trx, repositoryId)
    .where('digest', '<=', placeOf(over) as Digest)
    .orderBy('digest', 'desc')
    .limit(most + 1)
    .execute()
  const gone = manifests.slice(0, most)
  const freed = await needNoMore(trx, over, await timesNeeded(trx, gone))
  return {
    manifests: gone.length + 1,
    by: { bytes: -freed - sizeOf(gone) },
    ...next(manifests[most]?.digest, COUNTED.manifests, COUNTED.nothing),
  }
}

/** Blobs that waited for a manifest there, and nowhere else below the prefix. */
async function linksDown(trx: Handle, repositoryId: number, over: Over): Promise<Portion> {
  const { quota_id } = over
  const links = await trx
    .selectFrom('link_reviews')
    .select('digest')
    .where('repository_id', '=', repositoryId)
    .where('digest', '<=', placeOf(over) as Digest)
    .orderBy('digest', 'desc')
    .limit(LINKS + 1)
    .execute()
  const digests = links.slice(0, LINKS).map(({ digest }) => digest)
  const gone =
    digests.length === 0
      ? []
      : await trx
          .deleteFrom('quota_blobs')
          .where('quota_id', '=', quota_id)
          .where('digest', 'in', digests)
          .where('needed', '=', 0)
          .where((expression) => linkedNowhere(expression, quota_id))
          .returning('size')
          .execute()
  return {
    manifests: Math.ceil(digests.length / TAGS_A_MANIFEST) + 1,
    by: { waiting: -sizeOf(gone) },
    step: COUNTED.nothing,
    cursor: links[LINKS]?.digest ?? LAST,
  }
}

/** Down to `place` in the same step, or (there is nothing below) all of the next one. */
function next(place: string | undefined, step: number, after: number): Pick<Portion, 'step' | 'cursor'> {
  return place === undefined ? { step: after, cursor: LAST } : { step, cursor: place }
}

function manifestsOf(trx: Handle, repositoryId: number) {
  return trx.selectFrom('manifests').select(['id', 'digest', 'size']).where('repository_id', '=', repositoryId)
}

function tagsOf(trx: Handle, repositoryId: number) {
  return trx.selectFrom('tags').select('name').where('repository_id', '=', repositoryId)
}

async function listedOf(trx: Handle, repositoryId: number): Promise<number> {
  const row = await trx
    .selectFrom('repositories')
    .select('listed')
    .where('id', '=', repositoryId)
    .executeTakeFirstOrThrow()
  return row.listed
}

function sizeOf(rows: readonly { size: number }[]): number {
  return rows.reduce((sum, { size }) => sum + size, 0)
}

async function timesNeeded(trx: Handle, manifests: readonly { id: number }[]): Promise<[Digest, number][]> {
  if (manifests.length === 0) return []
  const rows = await trx
    .selectFrom('manifest_blobs')
    .select(({ fn }) => ['digest', fn.countAll<number>().as('times')])
    .where(
      'manifest_id',
      'in',
      manifests.map(({ id }) => id),
    )
    .groupBy('digest')
    .orderBy('digest')
    .execute()
  return rows.map(({ digest, times }) => [digest, Number(times)])
}

async function advance(
  trx: Handle,
  repositoryId: number,
  over: Over,
  { step, cursor }: Pick<Portion, 'step' | 'cursor'>,
): Promise<void> {
  await trx
    .updateTable('quota_repositories')
    .set({ step: step + wayOf(over.step), cursor })
    .where('quota_id', '=', over.quota_id)
    .where('repository_id', '=', repositoryId)
    .execute()
}

async function forget(trx: Handle, repositoryId: number, over: Over): Promise<void> {
  await trx
    .deleteFrom('quota_repositories')
    .where('quota_id', '=', over.quota_id)
    .where('repository_id', '=', repositoryId)
    .execute()
}
