import {
  type CompiledQuery,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  sql,
} from 'kysely'
import type { ColumnTypes, Database, Handle, Tables } from './database.ts'
import { type Metadata, MetadataError, type MetadataFault } from './metadata.ts'
import { type MigrationTables, migrate } from './migrations/migrate.ts'
import { nouns } from './nouns.ts'
import { queryBuilder, type Spelling } from './query-builder.ts'

export interface PostgresOptions {
  hostname: string
  port: number
  username: string
  password: string
  database: string
  /** Schema that has the tables; made when it is not there. */
  schema?: string
  /** Connections at most. */
  connections?: number
  /** Connections to use, which stay the caller's, in the place of its own. */
  pool?: Bun.SQL
  /** Milliseconds that a transaction may take. */
  limit?: number
  /** Milliseconds since the epoch. */
  now?: () => number
}

/** Text compares by bytes, whatever the locale of the database. */
const POSTGRES_TYPES: ColumnTypes = {
  id: sql`bigserial`,
  // A sequence goes on where it was, whatever becomes of the rows.
  lastingId: (table) => sql`bigint primary key default nextval(pg_get_serial_sequence(${sql.lit(table)}, 'id'))`,
  integer: 'bigint',
  text: sql`text collate "C"`,
  bytes: 'bytea',
}

const CONNECTIONS = 10
const LIMIT = 10_000
/** How often a transaction begins again that met another one. */
const ATTEMPTS = 10
/** serialization_failure, deadlock_detected: the other one went on, this one left nothing. */
const COLLISIONS = new Set(['40001', '40P01'])
/** Names the lock that a migration holds. */
const MIGRATION_LOCK = 7_163_526_391

/**
 * Metadata in PostgreSQL, for several processes on one database. Not offered by the configuration yet: the contract of
 * `metadata.suite.ts` runs against it, and shows on two connections what SQLite's one writer hides.
 * @throws MetadataError when it cannot connect, or the database was made by a newer program.
 */
export async function openPostgres(options: PostgresOptions): Promise<Metadata> {
  const { schema = 'public', now = Date.now, pool = connectPostgres(options), limit = LIMIT } = options
  const end = async (settings?: { timeout: number }) => {
    if (options.pool === undefined) await pool.close(settings)
  }
  let closed = false
  const refuseClosed = (): void => {
    if (closed) throw new MetadataError('failed', 'the database is closed')
  }
  const read = queryOver((text, values) => {
    refuseClosed()
    return pool.unsafe(text, values)
  })

  async function attempt<T>(body: (trx: Handle) => Promise<T>, durable: boolean): Promise<T> {
    refuseClosed()
    const connection = await pool.reserve()
    let ended = false
    const run: Run = (text, values) => {
      if (ended) throw new MetadataError('failed', 'the transaction of this handle is over')
      return connection.unsafe(text, values)
    }
    let timer: Timer | undefined
    try {
      await connection.unsafe('BEGIN')
      await connection.unsafe(`SET LOCAL statement_timeout = ${limit}`)
      if (!durable) await connection.unsafe('SET LOCAL synchronous_commit = off')
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          ended = true
          reject(new MetadataError('failed', `a transaction took longer than ${limit} ms and was undone`))
        }, limit)
      })
      const value = await Promise.race([body(queryOver(run)), late])
      ended = true
      await connection.unsafe('COMMIT')
      return value
    } catch (error) {
      ended = true
      await connection.unsafe('ROLLBACK').catch(() => {})
      throw error
    } finally {
      clearTimeout(timer)
      connection.release()
    }
  }

  const port: Database = {
    read,
    async transaction(body, { durable }) {
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt(body, durable)
        } catch (error) {
          if (attempts < ATTEMPTS && COLLISIONS.has(codeOf(error))) continue
          throw codeOf(error) === '' ? error : metadataError(error)
        }
      }
    },
  }

  try {
    await prepare(pool, schema, now())
  } catch (error) {
    await end({ timeout: 0 })
    throw metadataError(error)
  }
  const all = nouns(port)
  let appended: Promise<unknown> = Promise.resolve()
  return {
    ...all,
    audit: {
      ...all.audit,
      // Whoever appends does not wait, and yet expects the rows in that order: side by side, a later one may come first.
      append(rows) {
        const mine = appended.then(() => all.audit.append(rows))
        appended = mine.catch(() => {})
        return mine
      },
    },
    async close() {
      if (closed) return
      closed = true
      await end()
    },
  }
}

/** Connections as `openPostgres` needs them; each is made when it is first used. */
export function connectPostgres(options: Omit<PostgresOptions, 'pool' | 'now' | 'limit'>): Bun.SQL {
  const { hostname, port, username, password, database, schema = 'public', connections = CONNECTIONS } = options
  return new Bun.SQL({
    ...{ adapter: 'postgres', hostname, port, username, database, tls: 'disable' },
    password: () => password,
    max: connections,
    // 64 bits arrive as text otherwise, which nothing tells from a column of text.
    bigint: true,
    connection: { search_path: schema, application_name: 'berth' },
  })
}

type Run = (text: string, values: unknown[]) => Promise<unknown>

function queryOver(run: Run): Kysely<Tables> {
  return queryBuilder(async <R>({ sql: text, parameters }: CompiledQuery): Promise<QueryResult<R>> => {
    const result = await run(text, [...parameters])
    const { count } = result as { count: number }
    return { rows: (result as Record<string, unknown>[]).map(plain) as R[], numAffectedRows: BigInt(count) }
  }, SPELLING)
}

const SPELLING: Spelling = {
  createQueryCompiler: () => new PostgresQueryCompiler(),
  createAdapter: () => new PostgresAdapter(),
  createIntrospector: (kysely) => new PostgresIntrospector(kysely),
}

/** Numbers as numbers, and bytes as a plain array of bytes, as `Tables` says. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === 'bigint') row[column] = Number(value)
    else if (value instanceof Uint8Array) row[column] = new Uint8Array(value)
  }
  return row
}

/** Brings the schema up to date; processes that start together do so one after the other. */
async function prepare(pool: Bun.SQL, schema: string, now: number): Promise<void> {
  const connection = await pool.reserve()
  try {
    await connection.unsafe('BEGIN')
    await connection.unsafe(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
    await connection.unsafe(`CREATE SCHEMA IF NOT EXISTS "${schema.replaceAll('"', '""')}"`)
    const handle = queryOver((text, values) => connection.unsafe(text, values)).withTables<MigrationTables>()
    await migrate(handle, POSTGRES_TYPES, now)
    await connection.unsafe('COMMIT')
  } catch (error) {
    await connection.unsafe('ROLLBACK').catch(() => {})
    throw error
  } finally {
    connection.release()
  }
}

/** SQLSTATE (PostgreSQL, appendix A), or '' for any other error. */
function codeOf(error: unknown): string {
  return error instanceof Bun.SQL.PostgresError ? String(error.errno ?? error.code) : ''
}

function metadataError(error: unknown): MetadataError {
  if (error instanceof MetadataError) return error
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  return new MetadataError(faultOf(code), `the database refused: ${reason}${code === '' ? '' : ` (${code})`}`, error)
}

function faultOf(code: string): MetadataFault {
  if (code === '53100') return 'no-space'
  if (code === '25006') return 'read-only'
  return code === 'XX001' || code === 'XX002' ? 'corrupt' : 'failed'
}
