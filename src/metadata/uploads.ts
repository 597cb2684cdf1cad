import type { Digest } from '../oci/digest.ts'
import type { Database, Handle } from './database.ts'
import type { UploadRow, Uploads } from './metadata.ts'

export interface UploadRecord {
  id: string
  repository: string
  size: number
  state: string
  digest: Digest | null
  boot_id: string
  started_at: number
  updated_at: number
}

export function uploads(database: Database): Uploads {
  return {
    start(row) {
      return database.transaction(
        async (trx) => {
          await trx.insertInto('uploads').values(uploadRecord(row)).execute()
        },
        { durable: false },
      )
    },

    async find(repository, id) {
      const row = await uploadById(database.read, repository, id).executeTakeFirst()
      return row && uploadRow(row)
    },

    advance(id, from, to) {
      return database.transaction(
        async (trx) => {
          const advanced = await trx
            .updateTable('uploads')
            .set({
              size: to.size,
              state: to.state,
              digest: to.digest ?? null,
              boot_id: to.bootId,
              updated_at: to.updatedAt,
            })
            .where('id', '=', id)
            .where('size', '=', from)
            .executeTakeFirst()
          return advanced.numUpdatedRows > 0n
        },
        { durable: false },
      )
    },

    async exists(id) {
      const row = await database.read.selectFrom('uploads').select('id').where('id', '=', id).executeTakeFirst()
      return row !== undefined
    },

    remove(id) {
      return database.transaction(
        async (trx) => {
          const removed = await trx.deleteFrom('uploads').where('id', '=', id).executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },

    async of(repository, startedBy, limit) {
      const rows = await database.read
        .selectFrom('uploads')
        .selectAll()
        .where('repository', '=', repository)
        .where('started_at', '<=', startedBy)
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(uploadRow)
    },

    async underWay(after, limit) {
      const rows = await database.read
        .selectFrom('uploads')
        .select(['id', 'repository', 'size', 'updated_at as updatedAt'])
        .where('size', '>', 0)
        .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows
    },

    async count(limit) {
      const some = database.read.selectFrom('uploads').select('updated_at').limit(limit).as('some')
      const { count } = await database.read
        .selectFrom(some)
        .select(({ fn }) => fn.countAll().as('count'))
        .executeTakeFirstOrThrow()
      return Number(count)
    },

    async stale(before, limit) {
      const rows = await database.read
        .selectFrom('uploads')
        .selectAll()
        .where('updated_at', '<', before)
        .orderBy('updated_at')
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(uploadRow)
    },
  }
}

export function uploadById(read: Handle, repository: string, id: string) {
  return read.selectFrom('uploads').selectAll().where('id', '=', id).where('repository', '=', repository)
}

export function uploadRow(row: UploadRecord): UploadRow {
  return {
    id: row.id,
    repository: row.repository,
    size: row.size,
    state: row.state,
    digest: row.digest ?? undefined,
    bootId: row.boot_id,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  }
}

function uploadRecord(row: UploadRow): UploadRecord {
  return {
    id: row.id,
    repository: row.repository,
    size: row.size,
    state: row.state,
    digest: row.digest ?? null,
    boot_id: row.bootId,
    started_at: row.startedAt,
    updated_at: row.updatedAt,
  }
}
