import { sql } from 'kysely'
import type { Migration } from './migrate.ts'

/** What in the trash names a manifest: what has no blob to hold is the reference of an index to its child. */
export const trashHolds: Migration = {
  version: 9,
  name: 'trash holds',
  async up(schema) {
    await schema
      .createIndex('trash_references_named')
      .on('trash_references')
      .column('digest')
      .where(sql.ref('held_digest'), 'is', null)
      .execute()
  },
}
