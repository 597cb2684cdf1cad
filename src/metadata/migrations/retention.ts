import type { Migration } from './migrate.ts'

/**
 * Rules of retention that administrators made, the runs, and what images say of their own end: `image_expiries` has a row for each manifest that
 * was looked at, for its bytes never change. `asked` names the annotations and labels that it was looked at for.
 */
export const retention: Migration = {
  version: 8,
  name: 'retention',
  async up(schema, type, insert) {
    await schema
      .createTable('image_expiries')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().primaryKey().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('asked', type.text, (column) => column.notNull())
      .addColumn('after', type.integer)
      .addColumn('at', type.integer)
      .execute()

    await schema
      .createTable('retention_list')
      .addColumn('id', type.integer, (column) => column.notNull().primaryKey())
      .addColumn('revision', type.integer, (column) => column.notNull())
      .execute()
    await insert('retention_list', [{ id: 1, revision: 1 }])
    await schema
      .createTable('retention_rules')
      .addColumn('name', type.text, (column) => column.notNull().primaryKey())
      .addColumn('position', type.integer, (column) => column.notNull())
      .addColumn('rule', type.text, (column) => column.notNull())
      .execute()

    await schema
      .createTable('retention_runs')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('cause', type.text, (column) => column.notNull())
      .addColumn('actor', type.text, (column) => column.notNull())
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('started_at', type.integer, (column) => column.notNull())
      .addColumn('seen_at', type.integer, (column) => column.notNull())
      .addColumn('ended_at', type.integer)
      .addColumn('repositories', type.integer, (column) => column.notNull())
      .addColumn('tags', type.integer, (column) => column.notNull())
      .addColumn('manifests', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.integer, (column) => column.notNull())
      .addColumn('skipped', type.integer, (column) => column.notNull())
      .addColumn('error', type.text)
      .execute()
    await schema.createIndex('retention_runs_state').on('retention_runs').columns(['state', 'id']).execute()
    await schema.createIndex('retention_runs_cause').on('retention_runs').columns(['cause', 'id']).execute()
  },
}
