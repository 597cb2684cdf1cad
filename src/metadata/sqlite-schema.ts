import { Database, type SQLQueryBindings } from 'bun:sqlite'
import type { QueryResult } from 'kysely'
import { MIGRATIONS, type MigrationTables, migrate } from './migrations/migrate.ts'
import { queryBuilder } from './query-builder.ts'
import { SQLITE_SPELLING, SQLITE_TYPES, type SqliteConnection } from './sqlite-connection.ts'

/** A statement of the migrations. */
export interface RecordedStatement {
  sql: string
  values: (string | number | null)[]
  /** Places of the values that are the time at which the database is made. */
  times: number[]
}

/** Set when the program is put together (`build/`): what `recordSchema` gave, as JSON. */
declare const NEW_SCHEMA: string | undefined

/** A time that nothing else in the migrations is. */
const RECORDED_AT = 1_234_567_890_123

/** The newest version of the schema that this program knows. */
export const NEWEST = MIGRATIONS.at(-1)?.version ?? 0

/**
 * What the migrations do to a new database, statement by statement: to build them costs a first start several times as long as
 * to run them, and they are the same each time.
 */
export async function recordSchema(): Promise<RecordedStatement[]> {
  const recorded: RecordedStatement[] = []
  using database = new Database(':memory:')
  const query = queryBuilder(async <R>({ sql, parameters }: { sql: string; parameters: readonly unknown[] }) => {
    using statement = database.prepare<R, SQLQueryBindings[]>(sql)
    const values = parameters as SQLQueryBindings[]
    if (statement.columnNames.length > 0) return { rows: statement.all(...values) } satisfies QueryResult<R>
    recorded.push({
      sql,
      values: parameters.map(plain),
      times: parameters.flatMap((value, place) => (value === RECORDED_AT ? [place] : [])),
    })
    statement.run(...values)
    return { rows: [] }
  }, SQLITE_SPELLING)
  await migrate(query.withTables<MigrationTables>(), SQLITE_TYPES, RECORDED_AT)
  return recorded
}

function plain(value: unknown): string | number | null {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  throw new Error(`a migration has a value that cannot be recorded: ${typeof value}`)
}

/**
 * Gives a new database its schema, in the transaction that is open. False, and nothing has happened, where the program has no
 * record of it: it runs from source.
 */
export function replaySchema(connection: SqliteConnection, now: number, record = recordOf()): boolean {
  if (record === undefined) return false
  for (const { sql, values, times } of record) {
    connection.run(
      sql,
      values.map((value, place) => (times.includes(place) ? now : value)),
    )
  }
  return true
}

function recordOf(): RecordedStatement[] | undefined {
  return typeof NEW_SCHEMA === 'string' ? JSON.parse(NEW_SCHEMA) : undefined
}
