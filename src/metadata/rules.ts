import { type Database, inChunks } from './database.ts'
import type { RuleRow, Rules } from './metadata.ts'

export function rules(database: Database): Rules {
  return {
    async list() {
      // One query, hence one state of the database: a revision never comes with the rules of another one.
      const rows = await database.read
        .selectFrom('rule_list')
        .leftJoin('rules', (join) => join.onTrue())
        .select(['rule_list.revision', 'rules.id', 'rules.match', 'rules.actions', 'rules.comment'])
        .where('rule_list.id', '=', 1)
        .orderBy('rules.position')
        .execute()
      return { revision: rows[0]?.revision ?? 0, rules: rows.flatMap(ruleRow) }
    },

    replace(revision, list) {
      return database.transaction(
        async (trx) => {
          // The update holds the row: of two that know the same revision, the second finds another one there.
          const held = await trx
            .updateTable('rule_list')
            .set({ revision: revision + 1 })
            .where('id', '=', 1)
            .where('revision', '=', revision)
            .executeTakeFirst()
          if (held.numUpdatedRows === 0n) return false
          await trx.deleteFrom('rules').execute()
          const rows = list.map(({ id, match, actions, comment }, position) => ({
            id,
            position,
            match: JSON.stringify(match),
            actions: JSON.stringify(actions),
            comment,
          }))
          await inChunks(rows, (chunk) => trx.insertInto('rules').values(chunk).execute())
          return true
        },
        { durable: true },
      )
    },
  }
}

/** Nothing for the row that an empty list has in a left join. */
function ruleRow(row: {
  id: string | null
  match: string | null
  actions: string | null
  comment: string | null
}): RuleRow[] {
  if (row.id === null || row.match === null || row.actions === null) return []
  return [
    {
      id: row.id,
      match: JSON.parse(row.match) as RuleRow['match'],
      actions: JSON.parse(row.actions) as string[],
      comment: row.comment ?? '',
    },
  ]
}
