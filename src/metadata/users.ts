import type { Database } from './database.ts'
import type { UserRow, Users } from './metadata.ts'

export function users(database: Database): Users {
  return {
    async find(name) {
      const row = await database.read.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst()
      return row && userRow(row)
    },

    async list({ last, limit }) {
      const rows = await database.read
        .selectFrom('users')
        .selectAll()
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(userRow)
    },

    put(user) {
      const changed = {
        password_hash: user.passwordHash ?? null,
        admin: user.admin ? 1 : 0,
        updated_at: user.updatedAt,
      }
      return database.transaction(
        async (trx) => {
          await trx
            .insertInto('users')
            .values({ name: user.name, created_at: user.createdAt, ...changed })
            .onConflict((conflict) => conflict.column('name').doUpdateSet(changed))
            .execute()
        },
        { durable: true },
      )
    },

    remove(name) {
      return database.transaction(
        async (trx) => {
          const removed = await trx.deleteFrom('users').where('name', '=', name).executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },
  }
}

function userRow(row: {
  name: string
  password_hash: string | null
  admin: number
  created_at: number
  updated_at: number
}): UserRow {
  return {
    name: row.name,
    passwordHash: row.password_hash ?? undefined,
    admin: row.admin !== 0,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
