import type { Database, Handle, Tables } from './database.ts'
import type { TokenRow, Tokens } from './metadata.ts'
import { grantsOf, grantsText } from './users.ts'

export type TokenRecord = Tables['tokens']

export function tokens(database: Database): Tokens {
  return {
    async findByHash(hash) {
      const row = await tokenByHash(database.read, hash).executeTakeFirst()
      return row && tokenRow(row)
    },

    async find(id) {
      const row = await database.read.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst()
      return row && tokenRow(row)
    },

    async list({ account, kind }, { last, limit }) {
      const rows = await database.read
        .selectFrom('tokens')
        .selectAll()
        .$if(account !== undefined, (query) => query.where('account', '=', account ?? ''))
        .$if(kind !== undefined, (query) => query.where('kind', '=', kind ?? 'personal'))
        .$if(last !== undefined, (query) => query.where('id', '>', last ?? ''))
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(tokenRow)
    },

    add(token) {
      return database.transaction(
        async (trx) => {
          await trx.insertInto('tokens').values(tokenRecord(token)).execute()
        },
        { durable: true },
      )
    },

    touch(uses) {
      // In one order everywhere, so that transactions side by side cannot wait for each other in a ring.
      const sorted = [...uses].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.at - b.at))
      return database.transaction(
        async (trx) => {
          for (const { id, at, from } of sorted) {
            await trx
              .updateTable('tokens')
              .set({ last_used_at: at, last_used_from: from ?? null })
              .where('id', '=', id)
              // Uses that several processes report late do not hide a later one.
              .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<=', at)]))
              .execute()
          }
        },
        { durable: false },
      )
    },

    remove(id) {
      return database.transaction(
        async (trx) => {
          const removed = await trx.deleteFrom('tokens').where('id', '=', id).executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },

    removeAll({ account, source, kind }) {
      return database.transaction(
        async (trx) => {
          const removed = await trx
            .deleteFrom('tokens')
            .where('account', '=', account)
            .$if(source !== undefined, (query) => query.where('source', '=', source ?? ''))
            .$if(kind !== undefined, (query) => query.where('kind', '=', kind ?? 'personal'))
            .executeTakeFirst()
          return Number(removed.numDeletedRows)
        },
        { durable: true },
      )
    },

    expire(before, limit) {
      return database.transaction(
        async (trx) => {
          const removed = await trx
            .deleteFrom('tokens')
            .where('id', 'in', (from) =>
              from
                .selectFrom('tokens')
                .select('id')
                .where('expires_at', '<', before)
                .orderBy('expires_at')
                .orderBy('id')
                .limit(limit),
            )
            .executeTakeFirst()
          return Number(removed.numDeletedRows)
        },
        { durable: true },
      )
    },
  }
}

export function tokenByHash(read: Handle, hash: string) {
  return read.selectFrom('tokens').selectAll().where('hash', '=', hash)
}

export function tokenRow(row: TokenRecord): TokenRow {
  return {
    id: row.id,
    hash: row.hash,
    kind: row.kind,
    source: row.source,
    account: row.account,
    name: row.name,
    limits: grantsOf(row.limits),
    stamp: row.stamp ?? undefined,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
    lastUsedFrom: row.last_used_from ?? undefined,
  }
}

function tokenRecord(token: TokenRow): TokenRecord {
  return {
    id: token.id,
    hash: token.hash,
    kind: token.kind,
    source: token.source,
    account: token.account,
    name: token.name,
    limits: grantsText(token.limits),
    stamp: token.stamp ?? null,
    created_at: token.createdAt,
    expires_at: token.expiresAt ?? null,
    last_used_at: token.lastUsedAt ?? null,
    last_used_from: token.lastUsedFrom ?? null,
  }
}
