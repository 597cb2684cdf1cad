import { Database, type SQLQueryBindings, type Statement } from 'bun:sqlite'
import {
  type CompiledQuery,
  type Kysely,
  type QueryResult,
  type SelectModifierNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import { LRUCache } from 'lru-cache'
import type { ColumnTypes, Tables } from './database.ts'
import { MetadataError, type MetadataFault } from './metadata.ts'
import { queryBuilder, type Spelling } from './query-builder.ts'

export type Query = Kysely<Tables>
type Prepared = Statement<unknown, SQLQueryBindings[]>

/** One connection, with the statements that it keeps prepared. */
export interface SqliteConnection {
  /** Whether a transaction is open. */
  isInTransaction(): boolean
  /** A statement for now: another one may take its place in the cache. */
  prepare(sql: string): Prepared
  /** A statement that lasts as long as the connection. */
  pin<Row>(sql: string): Statement<Row, SQLQueryBindings[]>
  /** Runs a statement afresh: some pragmas act while they are prepared, and would act once only. */
  run(sql: string, values?: readonly (string | number | null)[]): void
  /** Runs a prepared statement without values. */
  step(sql: string): void
  /** Kysely over the connection. `guard` runs before each statement, and throws where none may run. */
  query(guard: () => void): Query
  close(): void
}

/** SQLite compares text by bytes (the BINARY collation) unless told otherwise. */
export const SQLITE_TYPES: ColumnTypes = {
  id: 'integer',
  lastingId: () => sql`integer primary key autoincrement`,
  integer: 'integer',
  text: 'text',
  bytes: 'blob',
}

/**
 * Statements kept prepared for one connection, and the characters that all of them have: lists of values make many shapes of a query, and
 * a prepared one takes 30 to 60 bytes a character.
 */
const PREPARED = { statements: 200, characters: 128 * 1024 } as const

/**
 * KiB of the database that a connection keeps in memory: the bound of what grows with a registry, 20 MiB for the three of a
 * server. Pages of the tables come from the system's own cache; what must be here are the upper pages of the indexes, some
 * 1 MiB for each million of rows that one has.
 */
export const CACHE_KIB = { read: 8192, write: 8192, longRead: 4096 } as const

/** `onError` hears of what later queries (`query`) meet. @throws MetadataError */
export function connect(
  path: string,
  mode: 'read' | 'write',
  onError?: OnError,
  cacheKib: number = CACHE_KIB[mode],
): SqliteConnection {
  return translated(`cannot open the database ${path}`, () => {
    const options = mode === 'read' ? { readonly: true, strict: true } : { readwrite: true, strict: true }
    const database = new Database(path, options)
    try {
      // Waiting for another program's lock would stop every request: the process owns the file (see owner-lock.ts).
      database.run('PRAGMA busy_timeout = 0')
      database.run('PRAGMA foreign_keys = ON')
      database.run('PRAGMA temp_store = MEMORY')
      database.run(`PRAGMA cache_size = -${cacheKib}`)
    } catch (error) {
      database.close()
      throw error
    }
    return keepPrepared(database, onError)
  })
}

function keepPrepared(database: Database, onError: OnError | undefined): SqliteConnection {
  const pinned: { finalize(): void }[] = []
  const prepared = new LRUCache<string, Prepared>({
    max: PREPARED.statements,
    maxSize: PREPARED.characters,
    sizeCalculation: (_, sql) => sql.length,
    dispose: (statement) => statement.finalize(),
  })
  const prepare = (sql: string): Prepared => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare<unknown, SQLQueryBindings[]>(sql)
    prepared.set(sql, statement)
    return statement
  }
  return {
    isInTransaction: () => database.inTransaction,
    prepare,
    pin<Row>(sql: string) {
      const statement = database.prepare<Row, SQLQueryBindings[]>(sql)
      pinned.push(statement)
      return statement
    },
    run(sql, values) {
      if (values === undefined || values.length === 0) database.run(sql)
      else database.run(sql, [...values])
    },
    step(sql) {
      prepare(sql).run()
    },
    query: (guard) => queryOver(prepare, guard, onError),
    close() {
      // A connection with statements left lives on, and with it the write-ahead log that the last one removes.
      prepared.clear()
      for (const statement of pinned.splice(0)) statement.finalize()
      database.close()
    },
  }
}

function queryOver(prepare: (sql: string) => Prepared, guard: () => void, onError: OnError | undefined): Query {
  return queryBuilder(async <R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> => {
    guard()
    return translated(
      'the database refused a query',
      () => {
        const statement = prepare(sql)
        const values = parameters as SQLQueryBindings[]
        if (statement.columnNames.length > 0) return { rows: statement.all(...values) as R[] }
        const { changes, lastInsertRowid } = statement.run(...values)
        return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
      },
      onError,
    )
  }, SQLITE_SPELLING)
}

/** SQLite's words. */
export const SQLITE_SPELLING: Spelling = {
  createQueryCompiler: () => new SingleWriterCompiler(),
  createAdapter: () => new SqliteAdapter(),
  createIntrospector: (kysely) => new SqliteIntrospector(kysely),
}

const LOCKS = new Set(['ForUpdate', 'ForNoKeyUpdate', 'ForShare', 'ForKeyShare', 'SkipLocked'])

/** Leaves out locks of rows: there is one writer, so that a transaction has the whole database to itself. */
class SingleWriterCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === undefined || !LOCKS.has(node.modifier)) super.visitSelectModifier(node)
  }
}

export type OnError = (error: MetadataError) => void

/** Runs `body`, turning what SQLite throws into a MetadataError that says what was being done. */
export function translated<T>(doing: string, body: () => T, onError?: OnError): T {
  try {
    return body()
  } catch (error) {
    const translated = metadataError(doing, error)
    onError?.(translated)
    throw translated
  }
}

export function metadataError(doing: string, error: unknown): MetadataError {
  if (error instanceof MetadataError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  return new MetadataError(faultOf(code), `${doing}: ${reason}${code === '' ? '' : ` (${code})`}`, error)
}

/** SQLite's extended result code (https://sqlite.org/rescode.html), or '' for any other error. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function faultOf(code: string): MetadataFault {
  // Growing the index of the write-ahead log fails with SHMSIZE where writing the log would say FULL.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC') return 'no-space'
  if (code.startsWith('SQLITE_READONLY') || code === 'SQLITE_PERM' || code === 'EROFS') return 'read-only'
  if (code.startsWith('SQLITE_IOERR') || code === 'EIO') return 'io'
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'corrupt'
  return 'failed'
}
