import type { Migration } from './migrate.ts'

/**
 * What an owner of a registry forbids: tags that stay where they are, and how much a part of the registry may hold.
 *
 * A quota counts what repositories below its prefix hold. `quota_repositories` has a row for each of these, with how far it is
 * counted; `quota_blobs` one for each blob that they have, with how many of their manifests need it (none yet: it was uploaded
 * a moment ago). Whoever makes a repository holds the row of `quota_list` in common, whoever makes a quota alone: neither
 * overlooks the other.
 */
export const limits: Migration = {
  version: 6,
  name: 'limits',
  async up(schema, type, insert) {
    await schema
      .createTable('immutable_rules')
      .addColumn('name', type.text, (column) => column.notNull().primaryKey())
      .addColumn('repositories', type.text, (column) => column.notNull())
      .addColumn('tags', type.text, (column) => column.notNull())
      .addColumn('comment', type.text, (column) => column.notNull())
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .execute()

    await schema
      .createTable('quota_list')
      .addColumn('id', type.integer, (column) => column.notNull().primaryKey())
      .execute()
    await insert('quota_list', [{ id: 1 }])

    await schema
      .createTable('quotas')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('prefix', type.text, (column) => column.notNull())
      .addColumn('source', type.text, (column) => column.notNull())
      .addColumn('max_bytes', type.integer)
      .addColumn('max_tags', type.integer)
      .addColumn('max_repositories', type.integer)
      .addColumn('state', type.text, (column) => column.notNull())
      .addColumn('taken_to', type.text)
      .addColumn('bytes', type.integer, (column) => column.notNull())
      .addColumn('waiting', type.integer, (column) => column.notNull())
      .addColumn('tags', type.integer, (column) => column.notNull())
      .addColumn('repositories', type.integer, (column) => column.notNull())
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .addColumn('updated_at', type.integer, (column) => column.notNull())
      .execute()
    await schema.createIndex('quotas_prefix').on('quotas').column('prefix').execute()

    await schema
      .createTable('quota_repositories')
      .addColumn('repository_id', type.integer, (column) =>
        column.notNull().references('repositories.id').onDelete('cascade'),
      )
      .addColumn('quota_id', type.integer, (column) => column.notNull().references('quotas.id').onDelete('restrict'))
      .addColumn('step', type.integer, (column) => column.notNull())
      .addColumn('cursor', type.text, (column) => column.notNull())
      .addPrimaryKeyConstraint('quota_repositories_key', ['repository_id', 'quota_id'])
      .execute()
    await schema.createIndex('quota_repositories_step').on('quota_repositories').columns(['quota_id', 'step']).execute()

    await schema
      .createTable('quota_blobs')
      .addColumn('quota_id', type.integer, (column) => column.notNull().references('quotas.id').onDelete('restrict'))
      .addColumn('digest', type.text, (column) => column.notNull())
      .addColumn('size', type.integer, (column) => column.notNull())
      .addColumn('needed', type.integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('quota_blobs_key', ['quota_id', 'digest'])
      .execute()
  },
}
