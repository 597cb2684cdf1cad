import type { Migration } from './migrate.ts'

/**
 * How often, and when last, manifests, tags and whole repositories were pulled: beside their rows, for those of manifests hold bytes that an update
 * would write again. They go with what was pulled; what goes to the trash takes them along (`tag` is `''` for the manifest itself).
 *
 * `repositories.removed_at` is set while a repository is deleted whole: its row stays for what its trash and its history say.
 */
export const pulls: Migration = {
  version: 5,
  name: 'pulls',
  async up(schema, type) {
    await schema.alterTable('repositories').addColumn('removed_at', type.integer).execute()
    await schema
      .createTable('manifest_pulls')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().primaryKey().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('pulls', type.integer, (column) => column.notNull())
      .addColumn('last_at', type.integer, (column) => column.notNull())
      .execute()

    await schema
      .createTable('tag_pulls')
      .addColumn('repository_id', type.integer, (column) => column.notNull())
      .addColumn('name', type.text, (column) => column.notNull())
      .addColumn('pulls', type.integer, (column) => column.notNull())
      .addColumn('last_at', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('tag_pulls_key', ['repository_id', 'name'])
      .addForeignKeyConstraint(
        'tag_pulls_tag',
        ['repository_id', 'name'],
        'tags',
        ['repository_id', 'name'],
        (constraint) => constraint.onDelete('cascade'),
      )
      .execute()

    await schema
      .createTable('repository_pulls')
      .addColumn('repository_id', type.integer, (column) =>
        column.notNull().primaryKey().references('repositories.id').onDelete('cascade'),
      )
      .addColumn('pulls', type.integer, (column) => column.notNull())
      .addColumn('last_at', type.integer, (column) => column.notNull())
      .execute()

    await schema
      .createTable('trash_pulls')
      .addColumn('trash_id', type.integer, (column) => column.notNull().references('trash.id').onDelete('cascade'))
      .addColumn('tag', type.text, (column) => column.notNull())
      .addColumn('pulls', type.integer, (column) => column.notNull())
      .addColumn('last_at', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('trash_pulls_key', ['trash_id', 'tag'])
      .execute()
  },
}
