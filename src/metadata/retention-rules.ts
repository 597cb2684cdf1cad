import type { WrittenRetentionRule } from '../oci/retention-rule.ts'
import { type Database, inChunks } from './database.ts'
import type { Retention } from './metadata.ts'

export function retentionRules(database: Database): Pick<Retention, 'rules' | 'replaceRules'> {
  return {
    async rules() {
      // One query, hence one state of the database: a revision never comes with the rules of another one.
      const rows = await database.read
        .selectFrom('retention_list')
        .leftJoin('retention_rules', (join) => join.onTrue())
        .select(['retention_list.revision', 'retention_rules.rule'])
        .where('retention_list.id', '=', 1)
        .orderBy('retention_rules.position')
        .execute()
      const rules = rows.flatMap(({ rule }) => (rule === null ? [] : [JSON.parse(rule) as WrittenRetentionRule]))
      return { revision: rows[0]?.revision ?? 0, rules }
    },

    replaceRules(revision, rules) {
      return database.transaction(
        async (trx) => {
          const held = await trx
            .updateTable('retention_list')
            .set({ revision: revision + 1 })
            .where('id', '=', 1)
            .where('revision', '=', revision)
            .executeTakeFirst()
          if (held.numUpdatedRows === 0n) return false
          await trx.deleteFrom('retention_rules').execute()
          const rows = rules.map((rule, position) => ({ name: rule.name ?? '', position, rule: JSON.stringify(rule) }))
          await inChunks(rows, (chunk) => trx.insertInto('retention_rules').values(chunk).execute())
          return true
        },
        { durable: true },
      )
    },
  }
}
