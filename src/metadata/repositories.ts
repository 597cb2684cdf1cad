import type { Database, Handle } from './database.ts'
import type { Repositories } from './metadata.ts'
import { countListed, countRepository } from './quota-counts.ts'

export function repositories(database: Database): Omit<Repositories, 'rename'> {
  return {
    async list({ last, limit }) {
      const rows = await database.read
        .selectFrom('repositories')
        .select('name')
        .where('listed', '=', 1)
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map((row) => row.name)
    },

    async isListed(name) {
      const { read } = database
      const row = await read.selectFrom('repositories').select('listed').where('name', '=', name).executeTakeFirst()
      return row?.listed === 1
    },

    async exists(name) {
      return (await knownRepository(database.read, name)) !== undefined
    },
  }
}

/** The repository's id; undefined where nothing was ever pushed, or it was deleted whole. */
export async function knownRepository(read: Handle, name: string): Promise<number | undefined> {
  const row = await read
    .selectFrom('repositories')
    .select('id')
    .where('name', '=', name)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  return row?.id
}

/** The repository's id, with its row locked until the transaction ends. */
export async function lockRepository(trx: Handle, name: string): Promise<number | undefined> {
  const row = await trx.selectFrom('repositories').select('id').where('name', '=', name).forUpdate().executeTakeFirst()
  return row?.id
}

/** `deletion`: the batch of its deletion that is under way. */
interface HeldRepository {
  id: number
  deletion: string | null
}

/**
 * The repository, made if need be, with its row locked until the transaction ends: links of blobs and
 * manifests of one repository come one after the other, so that neither overlooks what the other has just written.
 */
export async function ensureRepository(trx: Handle, name: string, now: number): Promise<HeldRepository> {
  const known = await trx
    .selectFrom('repositories')
    .select(['id', 'removed_at', 'deletion'])
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst()
  if (known?.removed_at === null) return known
  if (known !== undefined) {
    await trx.updateTable('repositories').set({ removed_at: null }).where('id', '=', known.id).execute()
    return known
  }
  const inserted = await trx
    .insertInto('repositories')
    .values({ name, listed: 0, created_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst()
  const made = await trx
    .selectFrom('repositories')
    .select(['id', 'deletion'])
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirstOrThrow()
  if ((inserted.numInsertedOrUpdatedRows ?? 0n) > 0n) await countRepository(trx, made.id, name)
  return made
}

/**
 * Keeps `listed` what it says: whether the repository has a manifest. The caller holds the repository's lock. With `bound`
 * a quota may refuse a repository more (MetadataError `denied`).
 */
export async function updateListed(trx: Handle, repositoryId: number, bound = false): Promise<void> {
  const manifest = await trx
    .selectFrom('manifests')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .limit(1)
    .executeTakeFirst()
  const listed = manifest === undefined ? 0 : 1
  const updated = await trx
    .updateTable('repositories')
    .set(listed === 1 ? { listed, removed_at: null } : { listed })
    .where('id', '=', repositoryId)
    .where('listed', '!=', listed)
    .executeTakeFirst()
  if (updated.numUpdatedRows > 0n) await countListed(trx, repositoryId, listed === 1 ? 1 : -1, bound)
}
