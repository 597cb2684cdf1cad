import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks } from './database.ts'
import type { Change, TagMove } from './metadata.ts'
import { countTags } from './quota-counts.ts'
import { reviewManifests, settleManifests } from './reviews.ts'
import { statement } from './statement.ts'

/** Every move of a tag leaves a row here, in its own transaction. The caller holds the repository's lock. */

interface Move {
  repositoryId: number
  name: string
  from: Digest | undefined
  to: Digest | undefined
}

export async function recordMove(trx: Handle, move: Move, change: Change): Promise<void> {
  await recordMoves(trx, [move], change)
}

/**
 * That the manifests lose all tags that they have. One statement, however many these are: an image that was built again and
 * again may have a hundred thousand, and its deletion is one transaction.
 */
export async function recordRemovals(trx: Handle, manifestIds: readonly number[], change: Change): Promise<void> {
  await recordAll(trx, manifestIds, 'from_digest', change)
}

async function recordAll(
  trx: Handle,
  manifestIds: readonly number[],
  side: 'from_digest' | 'to_digest',
  { actor, now }: Change,
): Promise<void> {
  await trx
    .insertInto('tag_history')
    .columns(['repository_id', 'name', side, 'actor', 'at'])
    .expression((from) =>
      from
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .select(({ val, cast }) => [
          ...(['tags.repository_id', 'tags.name', 'manifests.digest'] as const),
          cast<string>(val(actor), 'text').as('actor'),
          cast<number>(val(now), 'bigint').as('at'),
        ])
        .where('tags.manifest_id', 'in', manifestIds)
        .orderBy('tags.manifest_id')
        .orderBy('tags.name'),
    )
    .execute()
}

async function recordMoves(trx: Handle, moves: readonly Move[], { actor, now }: Change): Promise<void> {
  await inChunks(moves, (chunk) =>
    trx
      .insertInto('tag_history')
      .values(
        chunk.map(({ repositoryId, name, from, to }) => ({
          ...{ repository_id: repositoryId, name, from_digest: from ?? null, to_digest: to ?? null, actor, at: now },
        })),
      )
      .execute(),
  )
}

/** What the last move of the tag was from, and to. */
export async function lastMove(trx: Handle, repositoryId: number, name: string) {
  return await trx
    .selectFrom('tag_history')
    .select(['from_digest', 'to_digest'])
    .where('repository_id', '=', repositoryId)
    .where('name', '=', name)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/**
 * Where the tag pointed before it came to where it is, or was: of one that was deleted and pushed anew, before it was deleted.
 * Undefined: it never pointed to anything else.
 */
export async function placeBefore(trx: Handle, repositoryId: number, name: string): Promise<Digest | undefined> {
  const now = (await lastMove(trx, repositoryId, name))?.to_digest ?? undefined
  const moves = trx
    .selectFrom('tag_history')
    .select('from_digest')
    .where('repository_id', '=', repositoryId)
    .where('name', '=', name)
    .where('from_digest', 'is not', null)
  const row = await (now === undefined ? moves : moves.where('from_digest', '<>', now))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.from_digest ?? undefined
}

/** Points the tag to the manifest. Resolves to the digest that it had. `bound`: a new one by quotas. */
export async function moveTag(
  trx: Handle,
  move: Change & { repositoryId: number; name: string; manifestId: number; digest: Digest; bound: boolean },
): Promise<Digest | undefined> {
  const { repositoryId, name, manifestId, digest, now } = move
  const before = await taggedManifest(trx, repositoryId, name)
  await trx
    .insertInto('tags')
    .values({ repository_id: repositoryId, name, manifest_id: manifestId, updated_at: now })
    .onConflict((conflict) =>
      conflict.columns(['repository_id', 'name']).doUpdateSet({ manifest_id: manifestId, updated_at: now }),
    )
    .execute()
  await settleManifests(trx, [manifestId])
  if (before?.id === manifestId) return digest
  if (before === undefined) await countTags(trx, repositoryId, [name], 1, move.bound)
  await recordMove(trx, { repositoryId, name, from: before?.digest, to: digest }, move)
  if (before !== undefined) await reviewManifests(trx, [before.id], 'overwritten', now)
  return before?.digest
}

/**
 * Gives the manifest those of the names that no other one has, as `moveTag` would one by one, not bound by quotas. Resolves to
 * them, in their order.
 */
export async function addTags(
  trx: Handle,
  names: readonly string[],
  to: Change & { repositoryId: number; manifestId: number; digest: Digest },
): Promise<string[]> {
  const { repositoryId, manifestId, digest, now } = to
  const before = await trx.selectFrom('tags').select('name').where('manifest_id', '=', manifestId).limit(1).execute()
  const row = { repositoryId, manifestId, now }
  const fresh = new Set<string>()
  for (let start = 0; start < names.length; start += ROWS) {
    const chunk = names.slice(start, start + ROWS)
    const made =
      chunk.length === ROWS
        ? (await insertRows(trx, { ...row, ...Object.fromEntries(chunk.entries()) })).rows
        : await freeTags(trx, chunk, row).execute()
    for (const { name } of made) fresh.add(name)
  }
  const added = names.filter((name) => fresh.has(name))
  if (added.length === 0) return []
  await settleManifests(trx, [manifestId])
  await countTags(trx, repositoryId, added, 1, false)
  if (before.length === 0) await recordAll(trx, [manifestId], 'to_digest', to)
  else
    await recordMoves(
      trx,
      added.map((name) => ({ repositoryId, name, from: undefined, to: digest })),
      to,
    )
  return added
}

/** Rows of one statement. */
const ROWS = 500

type NewTags = { repositoryId: number; manifestId: number; now: number }

function freeTags(trx: Handle, names: readonly string[], { repositoryId, manifestId, now }: NewTags) {
  return trx
    .insertInto('tags')
    .values(names.map((name) => ({ repository_id: repositoryId, name, manifest_id: manifestId, updated_at: now })))
    .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doNothing())
    .returning('name')
}

/** `ROWS` names, by their number: built once, for a hundred thousand would be two hundred times the same statement. */
const insertRows = statement<NewTags & Record<number, string>, { name: string }>((trx, values) =>
  freeTags(
    trx,
    Array.from({ length: ROWS }, (_, index) => values[index] as string),
    values,
  ),
)

/** Takes the tag away. Resolves to the digest that it had. */
export async function removeTag(
  trx: Handle,
  tag: Change & { repositoryId: number; name: string },
): Promise<Digest | undefined> {
  const { repositoryId, name, now } = tag
  const before = await taggedManifest(trx, repositoryId, name)
  if (before === undefined) return undefined
  await trx.deleteFrom('tags').where('repository_id', '=', repositoryId).where('name', '=', name).execute()
  await countTags(trx, repositoryId, [name], -1, false)
  await recordMove(trx, { repositoryId, name, from: before.digest, to: undefined }, tag)
  await reviewManifests(trx, [before.id], 'deleted', now)
  return before.digest
}

export async function taggedManifest(
  trx: Handle,
  repositoryId: number,
  name: string,
): Promise<{ id: number; digest: Digest } | undefined> {
  return await trx
    .selectFrom('tags')
    .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
    .select(['manifests.id', 'manifests.digest'])
    .where('tags.repository_id', '=', repositoryId)
    .where('tags.name', '=', name)
    .executeTakeFirst()
}

export async function history(
  read: Handle,
  repository: string,
  tag: string | undefined,
  { before, limit }: { before?: number | undefined; limit: number },
): Promise<TagMove[]> {
  const rows = await read
    .selectFrom('repositories')
    .innerJoin('tag_history', 'tag_history.repository_id', 'repositories.id')
    .select(['tag_history.id', 'tag_history.name', 'from_digest', 'to_digest', 'actor', 'at'])
    .where('repositories.name', '=', repository)
    .$if(tag !== undefined, (query) => query.where('tag_history.name', '=', tag ?? ''))
    .$if(before !== undefined, (query) => query.where('tag_history.id', '<', before ?? 0))
    .orderBy('tag_history.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ id, name, from_digest, to_digest, actor, at }) => ({
    id,
    tag: name,
    from: from_digest ?? undefined,
    to: to_digest ?? undefined,
    actor,
    at,
  }))
}
