import type { Database, Handle } from './database.ts'
import type { GroupRow, Groups } from './metadata.ts'

export function groups(database: Database): Groups {
  return {
    async find(name) {
      const row = await database.read.selectFrom('groups').selectAll().where('name', '=', name).executeTakeFirst()
      return row && groupRow(row)
    },

    async list({ last, limit }) {
      const rows = await database.read
        .selectFrom('groups')
        .selectAll()
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(groupRow)
    },

    put({ name, description, createdAt }) {
      return database.transaction(
        async (trx) => {
          await trx
            .insertInto('groups')
            .values({ name, description, created_at: createdAt })
            .onConflict((conflict) => conflict.column('name').doUpdateSet({ description }))
            .execute()
        },
        { durable: true },
      )
    },

    remove(name) {
      return database.transaction(
        async (trx) => {
          const removed = await trx.deleteFrom('groups').where('name', '=', name).executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },

    async members(group, { last, limit }) {
      const rows = await database.read
        .selectFrom('group_members')
        .select('user_name')
        .where('group_name', '=', group)
        .$if(last !== undefined, (query) => query.where('user_name', '>', last ?? ''))
        .orderBy('user_name')
        .limit(limit)
        .execute()
      return rows.map((row) => row.user_name)
    },

    async of(user) {
      const rows = await groupsOfUser(database.read, user).execute()
      return rows.map((row) => row.group_name)
    },

    join(group, user) {
      return database.transaction(
        async (trx) => {
          // Held until the end, so that neither goes between the question and the row that needs both.
          const known = await trx
            .selectFrom('groups')
            .select('name')
            .where('name', '=', group)
            .forShare()
            .executeTakeFirst()
          if (known === undefined) return 'no-group'
          const member = await trx
            .selectFrom('users')
            .select('name')
            .where('name', '=', user)
            .forShare()
            .executeTakeFirst()
          if (member === undefined) return 'no-user'
          await trx
            .insertInto('group_members')
            .values({ group_name: group, user_name: user })
            .onConflict((conflict) => conflict.columns(['group_name', 'user_name']).doNothing())
            .execute()
          return 'joined'
        },
        { durable: true },
      )
    },

    leave(group, user) {
      return database.transaction(
        async (trx) => {
          const removed = await trx
            .deleteFrom('group_members')
            .where('group_name', '=', group)
            .where('user_name', '=', user)
            .executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },
  }
}

export function groupsOfUser(read: Handle, user: string) {
  return read.selectFrom('group_members').select('group_name').where('user_name', '=', user).orderBy('group_name')
}

function groupRow(row: { name: string; description: string; created_at: number }): GroupRow {
  return { name: row.name, description: row.description, createdAt: row.created_at }
}
