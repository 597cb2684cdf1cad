import { sql } from 'kysely'
import type { Migration } from './migrate.ts'

/**
 * What is asked again and again of a large registry is answered from indexes alone: which repositories have a blob, how much the
 * trash holds, which manifests are indexes, and what of the queues was put off (few rows, or none, of long queues).
 */
export const coveringIndexes: Migration = {
  version: 10,
  name: 'covering indexes',
  async up(schema) {
    await schema.dropIndex('repository_blobs_digest').execute()
    await schema
      .createIndex('repository_blobs_digest')
      .on('repository_blobs')
      .columns(['digest', 'repository_id'])
      .execute()
    await schema.dropIndex('trash_deleted').execute()
    await schema.createIndex('trash_deleted').on('trash').columns(['deleted_at', 'id', 'size']).execute()
    await schema.dropIndex('discarded_objects_due').execute()
    await schema.createIndex('discarded_objects_due').on('discarded_objects').columns(['due_at', 'size']).execute()
    await schema
      .createIndex('manifests_indexes')
      .on('manifests')
      .columns(['repository_id', 'digest'])
      .where(
        sql.ref('media_type'),
        'in',
        sql`('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')`,
      )
      .execute()
    for (const table of ['link_reviews', 'manifest_reviews', 'trash', 'discarded_objects']) {
      await schema
        .createIndex(`${table}_put_off`)
        .on(table)
        .column('attempts')
        .where(sql.ref('attempts'), '>', sql.lit(0))
        .execute()
    }
  },
}
