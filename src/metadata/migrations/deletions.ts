import type { Migration } from './migrate.ts'

/**
 * Deletions of repositories that go on after a crash: `repositories.deletion` names the one under way. What came since its
 * beginning has a row in `deletion_survivors`.
 *
 * Ids of the trash, which people read in one list and name in the next command: one that was given is never given again. SQLite
 * would give that of the newest row anew once the row is gone; a table whose ids it remembers gives them in its place, which spares
 * a copy of the trash and of all that refers to it.
 */
export const deletions: Migration = {
  version: 11,
  name: 'deletions',
  async up(schema, type, _insert, { query }) {
    await schema.alterTable('repositories').addColumn('deletion', type.text).execute()
    await schema
      .createTable('repository_deletions')
      .addColumn('batch', type.text, (column) => column.notNull().primaryKey())
      .addColumn('repository_id', type.integer, (column) =>
        column.notNull().references('repositories.id').onDelete('cascade'),
      )
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('actor', type.text, (column) => column.notNull())
      .addColumn('began_at', type.integer, (column) => column.notNull())
      .addColumn('seen_at', type.integer, (column) => column.notNull())
      .addColumn('ended_at', type.integer)
      .addColumn('phase', type.text, (column) => column.notNull())
      .addColumn('last_name', type.text)
      .addColumn('manifests', type.integer, (column) => column.notNull())
      .addColumn('tags', type.integer, (column) => column.notNull())
      .addColumn('events', type.text, (column) => column.notNull())
      .execute()
    await schema
      .createIndex('repository_deletions_state')
      .on('repository_deletions')
      .columns(['state', 'batch'])
      .execute()
    await schema
      .createIndex('repository_deletions_repository')
      .on('repository_deletions')
      .column('repository_id')
      .execute()
    await schema
      .createTable('deletion_survivors')
      .addColumn('repository_id', type.integer, (column) =>
        column.notNull().references('repositories.id').onDelete('cascade'),
      )
      .addColumn('name', type.text, (column) => column.notNull())
      .addPrimaryKeyConstraint('deletion_survivors_key', ['repository_id', 'name'])
      .execute()

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
