import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { INDEX_MEDIA_TYPES } from '../oci/media-type.ts'
import { buryAll } from './burial.ts'
import type { Database, Handle, Tables } from './database.ts'
import { forgetSurvivors, isNoSurvivor } from './deletion-survivors.ts'
import { queueEvents } from './events.ts'
import type { DeletedPortion, Deletions, NewEvent } from './metadata.ts'
import { refuseToDeleteAll } from './protection.ts'
import { removeTag } from './tag-history.ts'

/** Milliseconds for which a deletion that has ended is remembered: whoever carries it out beside another one hears how it ended. */
const REMEMBERED = 7 * 24 * 3_600_000

/**
 * Deletions of whole repositories. Each has a row from its beginning on, and the repository names it until its end: whoever pushes
 * holds the row of the repository, and sees that (`deletion-survivors.ts`).
 */
export function deletions(database: Database): Deletions {
  const durably = <T>(body: (trx: Handle) => Promise<T>) => database.transaction(body, { durable: true })
  return {
    begin: (name, deletion) => durably((trx) => begin(trx, name, deletion)),
    advance: (batch, step) => durably((trx) => advance(trx, batch, step)),
    callOff: (repository, batch, now) => durably((trx) => callOff(trx, repository, batch, now)),

    async unfinished(limit) {
      return await database.read
        .selectFrom('repository_deletions')
        .innerJoin('repositories', 'repositories.id', 'repository_deletions.repository_id')
        .select(['batch', 'repositories.name as repository', 'began_at as beganAt', 'seen_at as seenAt'])
        .where('state', '=', 'running')
        .orderBy('batch')
        .limit(limit)
        .execute()
    },
  }
}

const BEGINNING = { phase: 'indexes', last_name: null } as const

async function begin(
  trx: Handle,
  name: string,
  deletion: Parameters<Deletions['begin']>[1],
): Promise<{ batch: string } | undefined> {
  const { batch, actor, events = [], now } = deletion
  const repository = await trx
    .selectFrom('repositories')
    .select(['id', 'deletion'])
    .where('name', '=', name)
    .where('removed_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
  if (repository === undefined) return undefined
  const { id: repositoryId, deletion: running } = repository
  await refuseToDeleteAll(trx, { ...deletion, repositoryId, repository: name })
  await forgetSurvivors(trx, repositoryId)
  if (running !== null) {
    const again = await trx
      .updateTable('repository_deletions')
      .set({ ...BEGINNING, seen_at: now })
      .where('batch', '=', running)
      .where('state', '=', 'running')
      .executeTakeFirst()
    if (again.numUpdatedRows > 0n) return { batch: running }
  }
  await trx
    .deleteFrom('repository_deletions')
    .where('ended_at', '<', now - REMEMBERED)
    .execute()
  const row = { batch, repository_id: repositoryId, state: 'running' as const, actor, events: JSON.stringify(events) }
  const times = { began_at: now, seen_at: now, ended_at: null }
  await trx
    .insertInto('repository_deletions')
    .values({ ...row, ...times, ...BEGINNING, manifests: 0, tags: 0 })
    .execute()
  await trx.updateTable('repositories').set({ deletion: batch }).where('id', '=', repositoryId).execute()
  return { batch }
}

type Row = Tables['repository_deletions']

/** The deletion with the name of its repository, whose row is locked until the transaction ends. */
async function lockDeletion(trx: Handle, batch: string): Promise<(Row & { name: string }) | undefined> {
  const ofBatch = trx.selectFrom('repository_deletions').where('batch', '=', batch)
  const found = await ofBatch.select('repository_id').executeTakeFirst()
  if (found === undefined) return undefined
  const repository = await trx
    .selectFrom('repositories')
    .select('name')
    .where('id', '=', found.repository_id)
    .forUpdate()
    .executeTakeFirst()
  // A statement of its own, for it has to see what was committed while the lock was waited for.
  const row = await ofBatch.selectAll().executeTakeFirst()
  return repository === undefined || row === undefined ? undefined : { ...row, ...repository }
}

async function advance(
  trx: Handle,
  batch: string,
  { limit, now }: { limit: number; now: number },
): Promise<DeletedPortion | undefined> {
  const deletion = await lockDeletion(trx, batch)
  if (deletion === undefined) return undefined
  const { repository_id: repositoryId, name, state } = deletion
  const total = { manifests: deletion.manifests, tags: deletion.tags }
  const portion: DeletedPortion = { repository: name, digests: [], tags: [], freed: [], state, total, events: [] }
  if (state !== 'running') return portion
  let place: Place | undefined = deletion
  for (let isFull = false; place !== undefined && !isFull; ) {
    const step = { ...deletion, ...place, limit, now }
    const taken: string[] =
      place.phase === 'tags' ? await takeTags(trx, step, portion) : await takeManifests(trx, step, portion)
    isFull = taken.length === limit
    if (isFull) place = { phase: place.phase, last_name: taken.at(-1) ?? null }
    else place = NEXT[place.phase]
    // Tags come with the last manifests, for as a rule there is none left.
    if (place?.phase === 'manifests') break
  }
  total.manifests += portion.digests.length
  total.tags += portion.tags.length
  const isLast = place === undefined
  await trx
    .updateTable('repository_deletions')
    .set({ ...total, ...place, seen_at: now, ...(isLast ? { state: 'done', ended_at: now } : {}) })
    .where('batch', '=', batch)
    .execute()
  if (!isLast) return portion
  await end(trx, repositoryId)
  await trx
    .updateTable('repositories')
    .set({ removed_at: now })
    .where('id', '=', repositoryId)
    .where('listed', '=', 0)
    .execute()
  portion.events = JSON.parse(deletion.events) as NewEvent[]
  await queueEvents(trx, portion.events)
  return { ...portion, state: 'done' }
}

async function callOff(trx: Handle, repository: string, batch: string, now: number): Promise<boolean> {
  const deletion = await lockDeletion(trx, batch)
  if (deletion?.state !== 'running' || deletion.name !== repository) return false
  await trx
    .updateTable('repository_deletions')
    .set({ state: 'undone', seen_at: now, ended_at: now })
    .where('batch', '=', batch)
    .execute()
  await end(trx, deletion.repository_id)
  return true
}

async function end(trx: Handle, repositoryId: number): Promise<void> {
  await trx.updateTable('repositories').set({ deletion: null }).where('id', '=', repositoryId).execute()
  await forgetSurvivors(trx, repositoryId)
}

type Place = Pick<Row, 'phase' | 'last_name'>

const NEXT: Record<Row['phase'], Place | undefined> = {
  indexes: { phase: 'manifests', last_name: null },
  manifests: { phase: 'tags', last_name: null },
  tags: undefined,
}

type Step = Row & { limit: number; now: number }

/** All but what came after the beginning. Resolves to their digests, in order. */
async function takeManifests(
  trx: Handle,
  { repository_id: repositoryId, batch, actor, phase, last_name: last, limit, now }: Step,
  portion: DeletedPortion,
): Promise<Digest[]> {
  const rows = await trx
    .selectFrom('manifests')
    .select(['id', 'digest'])
    .where('repository_id', '=', repositoryId)
    // Written out, as the index of these rows has it: a parameter would not find them.
    .$if(phase === 'indexes', (query) =>
      query.where(({ eb }) =>
        eb(
          'media_type',
          'in',
          INDEX_MEDIA_TYPES.map((type) => sql.lit(type)),
        ),
      ),
    )
    .where(isNoSurvivor('manifests.repository_id', 'manifests.digest'))
    .$if(last !== null, (query) => query.where('digest', '>', last as Digest))
    .orderBy('digest')
    .limit(limit)
    .execute()
  if (rows.length === 0) return []
  const grave = { reason: 'deleted', batch, deletedAt: now } as const
  const { tags, freed } = await buryAll(trx, rows, { repositoryId, change: { now, actor }, grave })
  const digests = rows.map(({ digest }) => digest)
  portion.digests.push(...digests)
  portion.tags.push(...tags)
  portion.freed.push(...freed)
  return digests
}

/** Those that were there at the beginning, of manifests that stay. Resolves to their names, in order. */
async function takeTags(
  trx: Handle,
  { repository_id: repositoryId, actor, last_name: last, limit, now }: Step,
  portion: DeletedPortion,
): Promise<string[]> {
  const rows = await trx
    .selectFrom('tags')
    .select('name')
    .where('repository_id', '=', repositoryId)
    .where('name', '>', last ?? '')
    .where(isNoSurvivor('tags.repository_id', 'tags.name'))
    .orderBy('name')
    .limit(limit)
    .execute()
  for (const { name } of rows) await removeTag(trx, { repositoryId, name, actor, now })
  const names = rows.map(({ name }) => name)
  portion.tags.push(...names)
  return names
}
