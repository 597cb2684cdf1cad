import type { ExpressionBuilder } from 'kysely'
import type { AnyTables, Migration } from './migrate.ts'

/**
 * What the collector works from: queues of links and manifests that may be garbage, the trash, the history of tags, and the
 * keys of bytes that have to be unlinked.
 *
 * A blob's row is held by its links, and by manifests in the trash (`trash_references.held_digest`): the database itself
 * refuses to forget it before them. `repository_blobs` has a row in `link_reviews` while no manifest of the repository
 * needs the blob, `manifests` has one in `manifest_reviews` while it has no tag.
 *
 * What a database of an earlier version has of that kind begins its delay when the migration runs.
 */
export const collection: Migration = {
  version: 4,
  name: 'collection',
  async up(schema, type, _insert, { query, now }) {
    await schema
      .createTable('link_reviews')
      .addColumn('repository_id', type.integer, (column) => column.notNull())
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('since', type.integer, (column) => column.notNull())
      .addColumn('freed', type.integer, (column) => column.notNull())
      .addColumn('attempts', type.integer, (column) => column.notNull())
      .addColumn('not_before', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('link_reviews_key', ['repository_id', 'digest'])
      .addForeignKeyConstraint(
        'link_reviews_link',
        ['repository_id', 'digest'],
        'repository_blobs',
        ['repository_id', 'digest'],
        (constraint) => constraint.onDelete('cascade'),
      )
      .execute()
    await schema.createIndex('link_reviews_since').on('link_reviews').column('since').execute()
    await schema.createIndex('link_reviews_freed').on('link_reviews').columns(['freed', 'since']).execute()

    await schema
      .createTable('manifest_reviews')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().primaryKey().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('since', type.integer, (column) => column.notNull())
      .addColumn('freed', type.integer, (column) => column.notNull())
      .addColumn('attempts', type.integer, (column) => column.notNull())
      .addColumn('not_before', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('manifest_reviews_since').on('manifest_reviews').column('since').execute()
    await schema.createIndex('manifest_reviews_freed').on('manifest_reviews').columns(['freed', 'since']).execute()

    await schema
      .createTable('discarded_objects')
      .addColumn('storage_key', type.text, (column) => column.notNull().primaryKey())
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('kind', type.text, (column) => column.notNull())
      .addColumn('attempts', type.integer, (column) => column.notNull())
      .addColumn('due_at', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('discarded_objects_due').on('discarded_objects').column('due_at').execute()
    await schema.createIndex('discarded_objects_digest').on('discarded_objects').column('digest').execute()

    await schema
      .createTable('trash')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('repository_id', type.integer, (column) => column.notNull().references('repositories.id'))
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('media_type', type.text, (column) => column.notNull())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('subject_digest', type.text)
      .addColumn('artifact_type', type.text)
      .addColumn('annotations', type.text)
      .addColumn('pushed_at', type.integer, (column) => column.notNull())
      .addColumn('tags', type.text, (column) => column.notNull())
      .addColumn('reason', type.text, (column) => column.notNull())
      .addColumn('batch', type.text)
      .addColumn('actor', type.text, (column) => column.notNull())
      .addColumn('deleted_at', type.integer, (column) => column.notNull())
      .addColumn('attempts', type.integer, (column) => column.notNull())
      .addColumn('not_before', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.bytes, (column) => column.notNull())
      .execute()
    await schema.createIndex('trash_deleted').on('trash').columns(['deleted_at', 'id']).execute()
    await schema.createIndex('trash_digest').on('trash').columns(['repository_id', 'digest']).execute()
    await schema.createIndex('trash_subject').on('trash').columns(['repository_id', 'subject_digest']).execute()
    await schema.createIndex('trash_batch').on('trash').column('batch').execute()

    await schema
      .createTable('trash_references')
      .addColumn('trash_id', type.integer, (column) => column.notNull().references('trash.id').onDelete('cascade'))
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('kind', type.text, (column) => column.notNull())
      .addColumn('held_digest', type.text, (column) => column.references('blobs.digest').onDelete('restrict'))
      .addPrimaryKeyConstraint('trash_references_key', ['trash_id', 'digest', 'kind'])
      .execute()
    await schema.createIndex('trash_references_held').on('trash_references').column('held_digest').execute()

    await schema
      .createTable('tag_history')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('repository_id', type.integer, (column) => column.notNull().references('repositories.id'))
      .addColumn('name', type.text, (column) => column.notNull())
      .addColumn('from_digest', type.text)
      .addColumn('to_digest', type.text)
      .addColumn('actor', type.text, (column) => column.notNull())
      .addColumn('at', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('tag_history_tag').on('tag_history').columns(['repository_id', 'name', 'id']).execute()
    await schema.createIndex('tag_history_repository').on('tag_history').columns(['repository_id', 'id']).execute()

    await schema
      .createTable('collected')
      .addColumn('kind', type.text, (column) => column.notNull().primaryKey())
      .addColumn('count', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.integer, (column) => column.notNull())
      .execute()

    await query
      .insertInto('link_reviews')
      .columns(['repository_id', 'digest', 'since', 'freed', 'attempts', 'not_before'])
      .expression((from) =>
        from
          .selectFrom('repository_blobs')
          .select(({ lit, val }) => [
            'repository_id',
            'digest',
            val(now).as('since'),
            lit(0).as('freed'),
            lit(0).as('attempts'),
            lit(0).as('not_before'),
          ])
          .where(({ not, exists, selectFrom }) =>
            not(
              exists(
                selectFrom('manifest_blobs')
                  .select('manifest_blobs.manifest_id')
                  .whereRef('manifest_blobs.repository_id', '=', 'repository_blobs.repository_id')
                  .whereRef('manifest_blobs.digest', '=', 'repository_blobs.digest'),
              ),
            ),
          ),
      )
      .execute()
    await query
      .insertInto('manifest_reviews')
      .columns(['manifest_id', 'since', 'freed', 'attempts', 'not_before'])
      .expression((from) =>
        from
          .selectFrom('manifests')
          .select(({ lit, val }) => [
            'id',
            val(now).as('since'),
            lit(0).as('freed'),
            lit(0).as('attempts'),
            lit(0).as('not_before'),
          ])
          .where(({ not, exists, selectFrom }) =>
            not(exists(selectFrom('tags').select('tags.name').whereRef('tags.manifest_id', '=', 'manifests.id'))),
          ),
      )
      .execute()
    const unlinked = ({ not, exists, selectFrom }: ExpressionBuilder<AnyTables, 'blobs'>) =>
      not(
        exists(
          selectFrom('repository_blobs')
            .select('repository_blobs.digest')
            .whereRef('repository_blobs.digest', '=', 'blobs.digest'),
        ),
      )
    await query
      .insertInto('discarded_objects')
      .columns(['storage_key', 'digest', 'size', 'kind', 'attempts', 'due_at'])
      .expression((from) =>
        from
          .selectFrom('blobs')
          .select(({ lit, val }) => [
            'storage_key',
            'digest',
            'size',
            val('blob').as('kind'),
            lit(0).as('attempts'),
            val(now).as('due_at'),
          ])
          .where(unlinked),
      )
      .execute()
    await query.updateTable('blobs').set({ state: 'deleting' }).where(unlinked).execute()
  },
}
