import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { INDEX_MEDIA_TYPES } from '../oci/media-type.ts'
import { buryAll } from './burial.ts'
import type { Handle } from './database.ts'
import { queueEvents } from './events.ts'
import type { DeletedPortion, DeletionProgress, Repositories } from './metadata.ts'
import { refuseToDeleteAll } from './protection.ts'
import { lockRepository } from './repositories.ts'

type Deletion = Parameters<Repositories['delete']>[1]

/** See `Repositories.delete`. */
export async function deletePortion(
  trx: Handle,
  name: string,
  deletion: Deletion,
): Promise<DeletedPortion | undefined> {
  const { batch, limit, events, now } = deletion
  const repositoryId = await lockRepository(trx, name)
  if (repositoryId === undefined) return undefined
  const progress = deletion.progress ?? (await begin(trx, repositoryId))
  if (progress === undefined) return undefined
  if (deletion.progress === undefined) await refuseToDeleteAll(trx, { ...deletion, repositoryId, repository: name })
  const portion: DeletedPortion = { digests: [], tags: [], freed: [], progress: undefined }
  const rows = await next(trx, repositoryId, progress, limit)
  if (rows.length > 0) {
    const grave = { reason: 'deleted', batch, deletedAt: now } as const
    const { tags, freed } = await buryAll(trx, rows, { repositoryId, change: deletion, grave })
    portion.digests.push(...rows.map(({ digest }) => digest))
    portion.tags.push(...tags)
    portion.freed.push(...freed)
  }
  const last = rows.at(-1)?.digest
  const through = Math.min(progress.through, await newestId(trx))
  if (rows.length === limit) return { ...portion, progress: { ...progress, last, through } }
  if (progress.phase === 'indexes') return { ...portion, progress: { phase: 'all', last: undefined, through } }
  await trx
    .updateTable('repositories')
    .set({ removed_at: now })
    .where('id', '=', repositoryId)
    .where('listed', '=', 0)
    .execute()
  await queueEvents(trx, events)
  return portion
}

/** Undefined when the repository is deleted already. */
async function begin(trx: Handle, repositoryId: number): Promise<DeletionProgress | undefined> {
  // Of all repositories, which one step into the key finds; a push to this one waits for its lock, and gets a greater id.
  const newest = await trx
    .selectFrom('manifests')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  const living = await trx
    .selectFrom('repositories')
    .select('id')
    .where('id', '=', repositoryId)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  if (living === undefined) return undefined
  return { phase: 'indexes', last: undefined, through: Number(newest?.id ?? 0) }
}

/** Of all manifests: SQLite gives ids above it anew, once those that had them are gone. */
async function newestId(trx: Handle): Promise<number> {
  const newest = await trx
    .selectFrom('manifests')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  return Number(newest?.id ?? 0)
}

async function next(trx: Handle, repositoryId: number, { phase, last, through }: DeletionProgress, limit: number) {
  return await trx
    .selectFrom('manifests')
    .select(['id', 'digest'])
    .where('repository_id', '=', repositoryId)
    .where('id', '<=', through)
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
    .$if(last !== undefined, (query) => query.where('digest', '>', (last ?? '') as Digest))
    .orderBy('digest')
    .limit(limit)
    .execute()
}
