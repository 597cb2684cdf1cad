import type { Migration } from './migrate.ts'

/**
 * Accounts beyond a name and a password: robots, groups, tokens, rules that the program itself keeps, and the audit log.
 * Users that are there become people whom an administrator made.
 *
 * Tokens have no key to `users`, for accounts of other sources own tokens too. An id is the last column of each index
 * that a list walks, so that a page costs a page under those filters.
 */
export const accounts: Migration = {
  version: 2,
  name: 'accounts',
  async up(schema, type, insert) {
    // One column a statement: SQLite takes no more.
    await schema
      .alterTable('users')
      .addColumn('kind', type.text, (column) => column.notNull().defaultTo('user'))
      .execute()
    await schema
      .alterTable('users')
      .addColumn('source', type.text, (column) => column.notNull().defaultTo('berth'))
      .execute()
    await schema
      .alterTable('users')
      .addColumn('disabled', type.integer, (column) => column.notNull().defaultTo(0))
      .execute()
    await schema
      .alterTable('users')
      .addColumn('labels', type.text, (column) => column.notNull().defaultTo('{}'))
      .execute()
    await schema.alterTable('users').addColumn('grants', type.text).execute()
    await schema
      .alterTable('users')
      .addColumn('description', type.text, (column) => column.notNull().defaultTo(''))
      .execute()
    await schema.createIndex('users_kind').on('users').columns(['kind', 'name']).execute()

    await schema
      .createTable('groups')
      .addColumn('name', type.text, (column) => column.notNull().primaryKey())
      .addColumn('description', type.text, (column) => column.notNull())
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .execute()

    await schema
      .createTable('group_members')
      .addColumn('group_name', type.text, (column) => column.notNull().references('groups.name').onDelete('cascade'))
      .addColumn('user_name', type.text, (column) => column.notNull().references('users.name').onDelete('cascade'))
      .addPrimaryKeyConstraint('group_members_key', ['group_name', 'user_name'])
      .execute()
    await schema.createIndex('group_members_user').on('group_members').columns(['user_name', 'group_name']).execute()

    await schema
      .createTable('tokens')
      .addColumn('id', type.text, (column) => column.notNull().primaryKey())
      .addColumn('hash', type.text, (column) => column.notNull().unique())
      .addColumn('kind', type.text, (column) => column.notNull())
      .addColumn('source', type.text, (column) => column.notNull())
      .addColumn('account', type.text, (column) => column.notNull())
      .addColumn('name', type.text, (column) => column.notNull())
      .addColumn('limits', type.text)
      .addColumn('stamp', type.text)
      .addColumn('created_at', type.integer, (column) => column.notNull())
      .addColumn('expires_at', type.integer)
      .addColumn('last_used_at', type.integer)
      .addColumn('last_used_from', type.text)
      .execute()
    await schema.createIndex('tokens_account').on('tokens').columns(['account', 'id']).execute()
    await schema.createIndex('tokens_account_kind').on('tokens').columns(['account', 'kind', 'id']).execute()
    await schema.createIndex('tokens_kind').on('tokens').columns(['kind', 'id']).execute()
    await schema
      .createIndex('tokens_expire')
      .on('tokens')
      .columns(['expires_at', 'id'])
      .where('expires_at', 'is not', null)
      .execute()

    // The only row of `rule_list` is what writers of the list lock, and keeps the revision of an empty list.
    await schema
      .createTable('rule_list')
      .addColumn('id', type.integer, (column) => column.notNull().primaryKey())
      .addColumn('revision', type.integer, (column) => column.notNull())
      .execute()
    await schema
      .createTable('rules')
      .addColumn('id', type.text, (column) => column.notNull().primaryKey())
      .addColumn('position', type.integer, (column) => column.notNull().unique())
      .addColumn('match', type.text, (column) => column.notNull())
      .addColumn('actions', type.text, (column) => column.notNull())
      .addColumn('comment', type.text, (column) => column.notNull())
      .execute()
    await insert('rule_list', [{ id: 1, revision: 1 }])
    await insert('rules', [
      {
        id: 'catalog',
        position: 0,
        match: '{"account":"/.+/","type":"registry","name":"catalog"}',
        actions: '["*"]',
        comment: 'users may list the catalog',
      },
      {
        id: 'everyone',
        position: 1,
        match: '{"account":"/.+/","type":"repository"}',
        actions: '["pull","push"]',
        comment: 'users may pull and push everywhere',
      },
    ])

    await schema
      .createTable('audit')
      .addColumn('id', type.id, (column) => column.primaryKey())
      .addColumn('at', type.integer, (column) => column.notNull())
      .addColumn('kind', type.text, (column) => column.notNull())
      .addColumn('account', type.text, (column) => column.notNull())
      .addColumn('source', type.text, (column) => column.notNull())
      .addColumn('address', type.text, (column) => column.notNull())
      .addColumn('service', type.text, (column) => column.notNull())
      .addColumn('asked', type.text, (column) => column.notNull())
      .addColumn('granted', type.text, (column) => column.notNull())
      .addColumn('rules', type.text, (column) => column.notNull())
      .addColumn('outcome', type.text, (column) => column.notNull())
      .addColumn('detail', type.text, (column) => column.notNull())
      .execute()
    await schema.createIndex('audit_at').on('audit').columns(['at', 'id']).execute()
    await schema.createIndex('audit_account').on('audit').columns(['account', 'id']).execute()
    await schema.createIndex('audit_kind').on('audit').columns(['kind', 'id']).execute()
    await schema.createIndex('audit_kind_outcome').on('audit').columns(['kind', 'outcome', 'id']).execute()
    await schema.createIndex('audit_outcome').on('audit').columns(['outcome', 'id']).execute()
  },
}
