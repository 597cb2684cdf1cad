import type { Kysely, QueryCreator, SchemaModule } from 'kysely'
import { version as program } from '../../../package.json' with { type: 'json' }
import type { ColumnTypes } from '../database.ts'
import { MetadataError } from '../metadata.ts'
import { accounts } from './accounts.ts'
import { collection } from './collection.ts'
import { coveringIndexes } from './covering-indexes.ts'
import { deletions } from './deletions.ts'
import { initial } from './initial.ts'
import { limits } from './limits.ts'
import { notifications } from './notifications.ts'
import { pulls } from './pulls.ts'
import { retention } from './retention.ts'
import { trashHolds } from './trash-holds.ts'
import { verification } from './verification.ts'

type Row = Record<string, string | number | null>

/** Tables as they are at that version: a migration does not know those of later ones. */
export type AnyTables = Record<string, Row>

export interface Rows {
  query: QueryCreator<AnyTables>
  /** Milliseconds since the epoch. */
  now: number
}

/** Adds rows to a table as it is at that version: a migration does not know the tables of later ones. */
export type Insert = (table: string, rows: readonly Row[]) => Promise<void>

export interface Migration {
  /** 1, 2, 3 … without gaps. */
  version: number
  name: string
  up(schema: SchemaModule, type: ColumnTypes, insert: Insert, rows: Rows): Promise<void>
}

/** In order; one that was released is never changed. */
export const MIGRATIONS: readonly Migration[] = [
  initial,
  accounts,
  notifications,
  collection,
  pulls,
  limits,
  verification,
  retention,
  trashHolds,
  coveringIndexes,
  deletions,
]

export type MigrationTables = {
  migrations: { version: number; name: string; applied_at: number }
  /** Which Berth brought the schema to a version, so that an older one can say what it takes. */
  programs: { schema_version: number; program: string }
}

/**
 * Brings the schema to the newest version that this program knows; already there, it changes nothing.
 *
 * The caller gives a handle whose statements are all in one transaction, which no other process shares, and commits
 * it when this resolves. `now` is milliseconds since the epoch.
 * @throws MetadataError `failed` when the database was made by a newer program: it is left as it is.
 */
export async function migrate(
  database: Pick<Kysely<MigrationTables>, 'schema' | 'selectFrom' | 'insertInto' | 'withTables'>,
  type: ColumnTypes,
  now: number,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  await database.schema
    .createTable('migrations')
    .ifNotExists()
    .addColumn('version', type.integer, (column) => column.notNull().primaryKey())
    .addColumn('name', type.text, (column) => column.notNull())
    .addColumn('applied_at', type.integer, (column) => column.notNull())
    .execute()
  await database.schema
    .createTable('programs')
    .ifNotExists()
    .addColumn('schema_version', type.integer, (column) => column.notNull().primaryKey())
    .addColumn('program', type.text, (column) => column.notNull())
    .execute()
  const newest = await database
    .selectFrom('migrations')
    .select(({ fn }) => fn.max('version').as('version'))
    .execute()
  const current = Number(newest[0]?.version ?? 0)
  const known = migrations.at(-1)?.version ?? 0
  if (current > known) {
    const makers = await database
      .selectFrom('programs')
      .select('program')
      .where('schema_version', '=', current)
      .execute()
    const maker =
      makers[0] === undefined
        ? 'the newer Berth that made it'
        : `Berth ${makers[0].program}, which made it, or a newer one`
    throw new MetadataError(
      'failed',
      `the database has schema version ${current}, but this version of Berth (${program}) knows versions up to ${known} only: ` +
        `run ${maker}, or go back to a copy from before that one was started (berth-snapshots, or a backup)`,
    )
  }
  const query = database.withTables<AnyTables>()
  const insert: Insert = async (table, rows) => {
    await query.insertInto(table).values(rows).execute()
  }
  for (const migration of migrations) {
    if (migration.version <= current) continue
    await migration.up(database.schema, type, insert, { query, now })
    const { version, name } = migration
    await database.insertInto('migrations').values({ version, name, applied_at: now }).execute()
    if (version === known) await database.insertInto('programs').values({ schema_version: known, program }).execute()
  }
}
