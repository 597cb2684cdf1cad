import type { Database, Handle, QuotasTable } from './database.ts'
import type { QuotaLimits, QuotaRow, QuotaSource, Quotas } from './metadata.ts'
import { countPortion, giveUp, isBehind } from './quota-building.ts'
import { prefixesOf } from './quota-over.ts'
import { recount } from './quota-recount.ts'

export function quotas(database: Database): Quotas {
  const durably = <T>(body: (trx: Handle) => Promise<T>) => database.transaction(body, { durable: true })
  return {
    async list() {
      const rows = await database.read
        .selectFrom('quotas')
        .selectAll()
        .where('state', '!=', 'removed')
        .orderBy('prefix')
        .orderBy('source', 'desc')
        .execute()
      return rows.map(quotaRow)
    },

    set: (quota) =>
      durably(async (trx) => {
        await holdList(trx)
        await put(trx, quota)
      }),

    remove: (prefix, source) =>
      durably(async (trx) => {
        await holdList(trx)
        const removed = await trx
          .updateTable('quotas')
          .set({ state: 'removed' })
          .where('prefix', '=', prefix)
          .where('source', '=', source)
          .where('state', '!=', 'removed')
          .executeTakeFirst()
        return removed.numUpdatedRows > 0n
      }),

    configure: (wanted, now) =>
      durably(async (trx) => {
        await holdList(trx)
        const prefixes = wanted.map(({ prefix }) => prefix)
        await trx
          .updateTable('quotas')
          .set({ state: 'removed' })
          .where('source', '=', 'config')
          .where('state', '!=', 'removed')
          .$if(prefixes.length > 0, (query) => query.where('prefix', 'not in', prefixes))
          .execute()
        for (const quota of wanted) await put(trx, { ...quota, source: 'config', now })
      }),

    count: (most) => database.transaction((trx) => countPortion(trx, most), { durable: false }),

    isBehind: () => isBehind(database.read),

    giveUpRenames: () => database.transaction((trx) => giveUp(trx), { durable: false }),

    async over(repository, digest) {
      const rows = await database.read
        .selectFrom('quotas')
        .leftJoin('quota_blobs', (join) =>
          join.onRef('quota_blobs.quota_id', '=', 'quotas.id').on('quota_blobs.digest', '=', digest ?? null),
        )
        .selectAll('quotas')
        .select('quota_blobs.digest')
        .where('prefix', 'in', prefixesOf(repository))
        .where('state', '!=', 'removed')
        .orderBy('prefix')
        .execute()
      return rows.map((row) => ({ ...quotaRow(row), hasBlob: row.digest !== null }))
    },

    recount: (id) => recount(database.read, id),

    restart: (id, now) =>
      durably(async (trx) => {
        await holdList(trx)
        return (await restartQuotas(trx, now, id)) > 0
      }),
  }
}

/** Before quotas are made or go: whoever makes a repository waits, and sees them. */
export async function holdList(trx: Handle): Promise<void> {
  await trx.selectFrom('quota_list').select('id').where('id', '=', 1).forUpdate().execute()
}

/** Counts the quota anew, or all of them; the caller holds the list. Resolves to how many. */
export async function restartQuotas(trx: Handle, now: number, id?: number): Promise<number> {
  const rows = await trx
    .updateTable('quotas')
    .set({ state: 'removed' })
    .where('state', '!=', 'removed')
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? 0))
    .returningAll()
    .execute()
  for (const row of rows) {
    const { prefix, source, createdAt, limits } = quotaRow(row)
    await insert(trx, { prefix, source, limits, createdAt, now })
  }
  return rows.length
}

interface Wanted {
  prefix: string
  source: QuotaSource
  limits: QuotaLimits
  now: number
}

async function put(trx: Handle, quota: Wanted): Promise<void> {
  const { prefix, source, limits, now } = quota
  const known = await trx
    .selectFrom('quotas')
    .select(['id', 'max_bytes', 'max_tags', 'max_repositories'])
    .where('prefix', '=', prefix)
    .where('source', '=', source)
    .where('state', '!=', 'removed')
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (known === undefined) return await insert(trx, { ...quota, createdAt: now })
  const wanted = columnsOf(limits)
  const isSame =
    known.max_bytes === wanted.max_bytes &&
    known.max_tags === wanted.max_tags &&
    known.max_repositories === wanted.max_repositories
  // A configuration is put in force at each start.
  if (isSame) return
  await trx
    .updateTable('quotas')
    .set({ ...wanted, updated_at: now })
    .where('id', '=', known.id)
    .execute()
}

async function insert(trx: Handle, quota: Wanted & { createdAt: number }): Promise<void> {
  const { prefix, source, limits, createdAt, now } = quota
  const nothing = { bytes: 0, waiting: 0, tags: 0, repositories: 0 }
  const times = { created_at: createdAt, updated_at: now }
  await trx
    .insertInto('quotas')
    .values({ prefix, source, state: 'counting', taken_to: '', ...columnsOf(limits), ...nothing, ...times })
    .execute()
}

function columnsOf({ bytes, tags, repositories }: QuotaLimits) {
  return { max_bytes: bytes ?? null, max_tags: tags ?? null, max_repositories: repositories ?? null }
}

function quotaRow(row: Omit<QuotasTable, 'id'> & { id: number }): QuotaRow {
  const { id, prefix, source, bytes, tags, repositories, waiting } = row
  return {
    ...{ id, prefix, source, waiting },
    limits: {
      bytes: row.max_bytes ?? undefined,
      tags: row.max_tags ?? undefined,
      repositories: row.max_repositories ?? undefined,
    },
    used: { bytes, tags, repositories },
    state: row.state === 'exact' ? 'exact' : 'counting',
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
