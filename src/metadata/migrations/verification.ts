import type { Migration } from './migrate.ts'

/**
 * What is known of damage, and how far the scrub has come. A blob whose bytes are bad has the state `damaged`, so that whoever asks for
 * a live one does not find it; its row here goes when it is whole again. The bytes of a damaged manifest lie here, and its
 * own row has none: then its size is 0.
 */
export const verification: Migration = {
  version: 7,
  name: 'verification',
  async up(schema, type) {
    await schema
      .createTable('damaged_blobs')
      .addColumn('digest', type.text, (column) =>
        column.notNull().primaryKey().references('blobs.digest').onDelete('cascade'),
      )
      .addColumn('reason', type.text, (column) => column.notNull())
      .addColumn('found_at', type.integer, (column) => column.notNull())
      .execute()
    await schema
      .createTable('damaged_manifests')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().primaryKey().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('found_at', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.bytes, (column) => column.notNull())
      .execute()
    await schema
      .createTable('scrub')
      .addColumn('id', type.integer, (column) => column.notNull().primaryKey())
      .addColumn('started_at', type.integer, (column) => column.notNull())
      .addColumn('last_digest', type.text)
      .addColumn('ended_at', type.integer)
      .addColumn('blobs', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.integer, (column) => column.notNull())
      .addColumn('damaged', type.integer, (column) => column.notNull())
      .execute()
  },
}
