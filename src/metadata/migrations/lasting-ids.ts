import type { Migration } from './migrate.ts'

/**
 * Ids of the trash, which people read in one list and name in the next command: one that was given is never given again. SQLite
 * would give that of the newest row anew once the row is gone; a table whose ids it remembers gives them in its place, which spares
 * a copy of the trash and of all that refers to it.
 */
export const lastingIds: Migration = {
  version: 11,
  name: 'lasting ids',
  async up(schema, type, _insert, { query }) {
    await schema
      .createTable('trash_ids')
      .addColumn('id', type.lastingId('trash'))
      .addColumn('digest', type.text, (column) => column.notNull())
      .execute()
    // As high as those that are there.
    await query
      .insertInto('trash_ids')
      .columns(['id', 'digest'])
      .expression((from) => from.selectFrom('trash').select(['id', 'digest']).orderBy('id', 'desc').limit(1))
      .execute()
    await query.deleteFrom('trash_ids').execute()
  },
}
