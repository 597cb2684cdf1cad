import type { Database, Handle } from './database.ts'
import type { Grant, UserRow, Users } from './metadata.ts'

export interface UserRecord {
  name: string
  kind: UserRow['kind']
  source: string
  password_hash: string | null
  admin: number
  disabled: number
  labels: string
  grants: string | null
  description: string
  created_at: number
  updated_at: number
}

/** `UserRow.source` of accounts that an administrator made; the source of their tokens. */
const OWN_SOURCE = 'berth'

export function users(database: Database): Users {
  return {
    async find(name) {
      const row = await userByName(database.read, name).executeTakeFirst()
      return row && userRow(row)
    },

    async list({ last, limit }, kind) {
      const rows = await database.read
        .selectFrom('users')
        .selectAll()
        .$if(kind !== undefined, (query) => query.where('kind', '=', kind ?? 'user'))
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(userRow)
    },

    put(user) {
      const { created_at, name, ...changed } = userRecord(user)
      return database.transaction(
        async (trx) => {
          await trx
            .insertInto('users')
            .values({ name, created_at, ...changed })
            .onConflict((conflict) => conflict.column('name').doUpdateSet(changed))
            .execute()
        },
        { durable: true },
      )
    },

    remove(name) {
      return database.transaction(
        async (trx) => {
          const known = await trx
            .selectFrom('users')
            .select('source')
            .where('name', '=', name)
            .forUpdate()
            .executeTakeFirst()
          if (known === undefined) return false
          await trx
            .deleteFrom('tokens')
            .where('account', '=', name)
            .where('source', 'in', [OWN_SOURCE, known.source])
            .execute()
          await trx.deleteFrom('users').where('name', '=', name).execute()
          return true
        },
        { durable: true },
      )
    },
  }
}

export function userByName(read: Handle, name: string) {
  return read.selectFrom('users').selectAll().where('name', '=', name)
}

export function userRow(row: UserRecord): UserRow {
  return {
    name: row.name,
    kind: row.kind,
    source: row.source,
    passwordHash: row.password_hash ?? undefined,
    admin: row.admin !== 0,
    disabled: row.disabled !== 0,
    labels: JSON.parse(row.labels) as Record<string, string[]>,
    grants: grantsOf(row.grants),
    description: row.description,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function userRecord(user: UserRow): UserRecord {
  return {
    name: user.name,
    kind: user.kind,
    source: user.source,
    password_hash: user.passwordHash ?? null,
    admin: user.admin ? 1 : 0,
    disabled: user.disabled ? 1 : 0,
    labels: JSON.stringify(user.labels),
    grants: grantsText(user.grants),
    description: user.description,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  }
}

/** A column of grants. */
export function grantsOf(text: string | null): readonly Grant[] | undefined {
  return text === null ? undefined : (JSON.parse(text) as Grant[])
}

export function grantsText(grants: readonly Grant[] | undefined): string | null {
  return grants === undefined ? null : JSON.stringify(grants)
}
