import type { Migration } from './migrate.ts'

/**
 * A row for each event and endpoint: the endpoints' queues, what was delivered lately, and what was given up. `detail`, which can
 * be large, is the last column, so that lists need not read past it.
 */
export const notifications: Migration = {
  version: 3,
  name: 'notifications',
  async up(schema, type) {
    await schema
      .createTable('events')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('event', type.text, (column) => column.notNull())
      .addColumn('endpoint', type.text, (column) => column.notNull())
      .addColumn('at', type.integer, (column) => column.notNull())
      .addColumn('action', type.text, (column) => column.notNull())
      .addColumn('repository', type.text, (column) => column.notNull())
      .addColumn('tag', type.text)
      .addColumn('digest', type.text)
      .addColumn('media_type', type.text)
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('attempts', type.integer, (column) => column.notNull())
      .addColumn('queued_at', type.integer, (column) => column.notNull())
      .addColumn('tried_at', type.integer)
      .addColumn('retry_at', type.integer)
      .addColumn('result', type.text, (column) => column.notNull())
      .addColumn('detail', type.text, (column) => column.notNull())
      .execute()
    await schema.createIndex('events_queue').on('events').columns(['endpoint', 'state', 'id']).execute()
    await schema.createIndex('events_state').on('events').columns(['state', 'id']).execute()
  },
}
