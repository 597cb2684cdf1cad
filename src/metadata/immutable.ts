import type { Database } from './database.ts'
import type { ImmutableRules } from './metadata.ts'

export function immutable(database: Database): ImmutableRules {
  return {
    async list() {
      const rows = await database.read.selectFrom('immutable_rules').selectAll().orderBy('name').execute()
      return rows.map(({ repositories, tags, created_at, ...row }) => ({
        ...row,
        repositories: JSON.parse(repositories) as string[],
        tags: JSON.parse(tags) as string[],
        createdAt: created_at,
      }))
    },

    add({ name, repositories, tags, comment, createdAt }) {
      return database.transaction(
        async (trx) => {
          const lists = { repositories: JSON.stringify(repositories), tags: JSON.stringify(tags) }
          const added = await trx
            .insertInto('immutable_rules')
            .values({ name, comment, ...lists, created_at: createdAt })
            .onConflict((conflict) => conflict.column('name').doNothing())
            .executeTakeFirst()
          return (added.numInsertedOrUpdatedRows ?? 0n) > 0n
        },
        { durable: true },
      )
    },

    remove(name) {
      return database.transaction(
        async (trx) => {
          const removed = await trx.deleteFrom('immutable_rules').where('name', '=', name).executeTakeFirst()
          return removed.numDeletedRows > 0n
        },
        { durable: true },
      )
    },
  }
}
