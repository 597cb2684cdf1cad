import type { Migration } from './migrate.ts'

/**
 * The first schema. `bytes` is the last column of `manifests`, so that lists need not read past it.
 *
 * `manifest_references` has a row for everything that a manifest names, present or not. `manifest_blobs` has those blobs
 * that are linked in the repository: its foreign key makes the database itself refuse to unlink a blob that a manifest
 * needs. Children of an index have no such key, for a client may delete them by name.
 */
export const initial: Migration = {
  version: 1,
  name: 'initial',
  async up(schema, type) {
    await schema
      .createTable('repositories')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('name', type.text, (column) => column.notNull().unique())
      .addColumn('listed', type.integer, (column) => column.notNull().defaultTo(0))
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('repositories_listed').on('repositories').columns(['listed', 'name']).execute()

    await schema
      .createTable('blobs')
      .addColumn('digest', type.text, (column) => column.notNull().primaryKey())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('storage_key', type.text, (column) => column.notNull())
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .execute()

    await schema
      .createTable('repository_blobs')
      .addColumn('repository_id', type.integer, (column) => column.notNull().references('repositories.id'))
      .addColumn('digest', type.text, (column) => column.notNull().references('blobs.digest').onDelete('restrict'))
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('repository_blobs_key', ['repository_id', 'digest'])
      .execute()
    await schema.createIndex('repository_blobs_digest').on('repository_blobs').column('digest').execute()

    await schema
      .createTable('uploads')
      .addColumn('id', type.text, (column) => column.notNull().primaryKey())
      .addColumn('repository', type.text, (column) => column.notNull())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('digest', type.text)
      .addColumn('boot_id', type.text, (column) => column.notNull())
      .addColumn('started_at', type.integer, (column) => column.notNull())
      .addColumn('updated_at', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('uploads_updated').on('uploads').columns(['updated_at', 'id']).execute()

    await schema
      .createTable('manifests')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('repository_id', type.integer, (column) => column.notNull().references('repositories.id'))
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('media_type', type.text, (column) => column.notNull())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('subject_digest', type.text)
      .addColumn('artifact_type', type.text)
      .addColumn('annotations', type.text)
      .addColumn('pushed_at', type.integer, (column) => column.notNull())
      .addColumn('bytes', type.bytes, (column) => column.notNull())
      .addUniqueConstraint('manifests_digest', ['repository_id', 'digest'])
      .execute()
    const subject = ['repository_id', 'subject_digest'] as const
    await schema
      .createIndex('manifests_subject')
      .on('manifests')
      .columns([...subject, 'digest'])
      .where('subject_digest', 'is not', null)
      .execute()
    await schema
      .createIndex('manifests_subject_type')
      .on('manifests')
      .columns([...subject, 'artifact_type', 'digest'])
      .where('subject_digest', 'is not', null)
      .execute()

    await schema
      .createTable('manifest_references')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('repository_id', type.integer, (column) => column.notNull())
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('kind', type.text, (column) => column.notNull())
      .addPrimaryKeyConstraint('manifest_references_key', ['manifest_id', 'digest', 'kind'])
      .execute()
    await schema
      .createIndex('manifest_references_digest')
      .on('manifest_references')
      .columns(['digest', 'repository_id'])
      .execute()

    await schema
      .createTable('manifest_blobs')
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().references('manifests.id').onDelete('cascade'),
      )
      .addColumn('repository_id', type.integer, (column) => column.notNull())
      .addColumn('digest', type.text, (column) => column.notNull())
      .addPrimaryKeyConstraint('manifest_blobs_key', ['manifest_id', 'digest'])
      .addForeignKeyConstraint(
        'manifest_blobs_link',
        ['repository_id', 'digest'],
        'repository_blobs',
        ['repository_id', 'digest'],
        (constraint) => constraint.onDelete('restrict'),
      )
      .execute()
    await schema.createIndex('manifest_blobs_link').on('manifest_blobs').columns(['repository_id', 'digest']).execute()

    await schema
      .createTable('tags')
      .addColumn('repository_id', type.integer, (column) => column.notNull().references('repositories.id'))
      .addColumn('name', type.text, (column) => column.notNull())
      .addColumn('manifest_id', type.integer, (column) =>
        column.notNull().references('manifests.id').onDelete('restrict'),
      )
      .addColumn('updated_at', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('tags_key', ['repository_id', 'name'])
      .execute()
    await schema.createIndex('tags_manifest').on('tags').column('manifest_id').execute()

    await schema
      .createTable('users')
      .addColumn('name', type.text, (column) => column.notNull().primaryKey())
      .addColumn('password_hash', type.text)
      .addColumn('admin', type.integer, (column) => column.notNull())
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .addColumn('updated_at', type.integer, (column) => column.notNull())
      .execute()
  },
}
