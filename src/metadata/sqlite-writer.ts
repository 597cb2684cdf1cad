import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database, Handle } from './database.ts'
import { MetadataError } from './metadata.ts'
import { type Migration, type MigrationTables, migrate } from './migrations/migrate.ts'
import { SNAPSHOTS_FOLDER, writeSnapshotFile } from './snapshot-file.ts'
import { codeOf, connect, metadataError, SQLITE_TYPES, type SqliteConnection, translated } from './sqlite-connection.ts'
import { NEWEST, replaySchema } from './sqlite-schema.ts'

export type Outcome = { ok: true; value: unknown } | { ok: false; error: MetadataError }

/** The only connection that writes to a database file. Of one file there is one, in the whole machine. */
export interface Writer {
  /** Its transactions run inside `group` only. */
  readonly database: Database
  /**
   * Runs the calls one after the other in one transaction, each in a savepoint of its own, and tells what became of
   * each. Nothing has happened before this resolves. An error of one call undoes that call alone; when the database
   * cannot commit, all of them have failed and none has happened. Never rejects. Call it again only after that.
   * With `durable: false` a power cut may undo the group, and only calls whose transactions are relaxed may be in it.
   */
  group(calls: readonly (() => Promise<unknown>)[], options: { durable: boolean }): Promise<Outcome[]>
  close(): void
}

export interface WriterOptions {
  path: string
  /** Milliseconds since the epoch. */
  now: number
  /** Milliseconds that the body of a transaction may take, by `clock`. */
  limit?: number
  /** Milliseconds of a clock that is never set back. */
  clock?: () => number
  migrations?: readonly Migration[]
}

const BODY_LIMIT_MS = 10_000
/** Bytes that the write-ahead log's file keeps after a checkpoint; it may grow past that for a moment. */
const LOG_SIZE = 64 * 1024 * 1024

/**
 * Opens (or makes, readable by its owner alone) the database and brings its schema up to date.
 * @throws MetadataError
 */
export async function openWriter(options: WriterOptions): Promise<Writer> {
  const { path, now, limit = BODY_LIMIT_MS, clock = () => performance.now(), migrations } = options
  translated(`cannot open the database ${path}`, () => closeSync(openSync(path, 'a', 0o600)))
  const connection = connect(path, 'write')
  try {
    await prepareFile(connection, path, now, migrations)
    return createWriter(connection, limit, clock)
  } catch (error) {
    connection.close()
    throw metadataError(`cannot open the database ${path}`, error)
  }
}

async function prepareFile(
  connection: SqliteConnection,
  path: string,
  now: number,
  migrations: readonly Migration[] | undefined,
): Promise<void> {
  const mode = connection.prepare('PRAGMA journal_mode = WAL').get()
  if (!(mode instanceof Object && 'journal_mode' in mode && mode.journal_mode === 'wal')) {
    throw new MetadataError('failed', `the file system of ${path} cannot share memory between the connections (WAL)`)
  }
  connection.run(`PRAGMA journal_size_limit = ${LOG_SIZE}`)
  connection.run('PRAGMA wal_autocheckpoint = 1000')
  connection.run('PRAGMA synchronous = FULL')
  const newest = migrations === undefined ? NEWEST : (migrations.at(-1)?.version ?? 0)
  const found = schemaOf(connection)
  if (found !== 'new' && found > 0 && found < newest) keepBeforeMigration(path, found, newest)
  connection.run('BEGIN IMMEDIATE')
  try {
    const isReplayed = found === 'new' && migrations === undefined && replaySchema(connection, now)
    if (!isReplayed && found !== newest) {
      const handle = connection.query(() => {}).withTables<MigrationTables>()
      await migrate(handle, SQLITE_TYPES, now, migrations)
    }
    connection.run('COMMIT')
  } catch (error) {
    if (connection.isInTransaction()) connection.run('ROLLBACK')
    throw error
  }
}

/** The version of the schema, 0 for one that is none of Berth's; `new`: there is nothing in the file. */
function schemaOf(connection: SqliteConnection): number | 'new' {
  const first = "SELECT name FROM sqlite_schema ORDER BY name = 'migrations' DESC LIMIT 1"
  const table = connection.prepare(first).get()
  if (table == null) return 'new'
  if (!(table instanceof Object && 'name' in table && table.name === 'migrations')) return 0
  const row = connection.prepare('SELECT max(version) AS version FROM migrations').get()
  return row instanceof Object && 'version' in row ? Number(row.version) : 0
}

/**
 * A database of an older schema is copied before anything of it changes: whoever must go back to the program before finds it
 * there. Without the copy it is not changed. @throws MetadataError
 */
function keepBeforeMigration(path: string, version: number, newest: number): void {
  const folder = join(dirname(path), SNAPSHOTS_FOLDER)
  translated(`cannot keep a copy of the database in ${folder} before its schema changes`, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeSnapshotFile(path, join(folder, `before-schema-${newest}-was-${version}.db`))
  })
}

/** What a group's bodies run on. One that ran out of time is closed for good, whatever it still tries. */
interface Session {
  trx: Handle
  deadline: number
  closed: boolean
}

function createWriter(connection: SqliteConnection, limit: number, clock: () => number): Writer {
  const { run, step } = connection
  let group: { durable: boolean } | undefined
  let running: Session | undefined
  let session = newSession()
  let synchronous: 'FULL' | 'NORMAL' = 'FULL'
  let logInDoubt = false

  function newSession(): Session {
    const fresh: Session = {
      deadline: 0,
      closed: false,
      trx: connection.query(() => {
        if (fresh.closed || running !== fresh)
          throw new MetadataError('failed', 'the transaction of this handle is over')
        if (clock() > fresh.deadline) throw outOfTime()
      }),
    }
    return fresh
  }

  const outOfTime = () => new MetadataError('failed', `a transaction took longer than ${limit} ms and was undone`)

  const read = connection.query(() => {
    if (running !== undefined) {
      throw new MetadataError('failed', 'the body of a transaction used the outer handle instead of its own')
    }
  })

  async function transaction<T>(body: (trx: Handle) => Promise<T>, options: { durable: boolean }): Promise<T> {
    if (running !== undefined) throw new MetadataError('failed', 'a transaction was begun inside another one')
    if (group === undefined) throw new MetadataError('failed', 'a transaction was begun outside of a group')
    if (options.durable && !group.durable) {
      throw new MetadataError('failed', 'a durable transaction was begun in a relaxed group')
    }
    step('SAVEPOINT body')
    const mine = session
    mine.deadline = clock() + limit
    running = mine
    try {
      const value = await bounded(body(mine.trx))
      if (clock() > mine.deadline) throw outOfTime()
      step('RELEASE body')
      return value
    } catch (error) {
      // A full disk or an I/O error may have ended the whole transaction; the group finds that out.
      if (connection.isInTransaction()) {
        step('ROLLBACK TO body')
        step('RELEASE body')
      }
      // What was learnt from a handle is forgotten with it.
      session = newSession()
      throw error
    } finally {
      running = undefined
    }
  }

  async function bounded<T>(work: Promise<T>): Promise<T> {
    let timer: Timer | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        session.closed = true
        session = newSession()
        reject(outOfTime())
      }, limit)
    })
    try {
      return await Promise.race([work, timeout])
    } finally {
      clearTimeout(timer)
    }
  }

  function begin(durable: boolean): void {
    // Only an error while rolling back leaves a transaction open.
    if (connection.isInTransaction()) step('ROLLBACK')
    if (logInDoubt) restartLog()
    const wanted = durable ? 'FULL' : 'NORMAL'
    if (wanted !== synchronous) {
      run(`PRAGMA synchronous = ${wanted}`)
      synchronous = wanted
    }
    step('BEGIN IMMEDIATE')
  }

  /**
   * After an error of writing or syncing, frames of earlier relaxed groups may be missing in the log on the disk, and
   * what follows them would not be read back after a power cut: nothing more is promised on top of that log.
   */
  function restartLog(): void {
    const result = connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
    const done = result instanceof Object && 'busy' in result && result.busy === 0
    if (!done) throw new MetadataError('failed', 'the log cannot be restarted while it is being read')
    logInDoubt = false
  }

  async function runGroup(calls: readonly (() => Promise<unknown>)[], durable: boolean): Promise<Outcome[]> {
    begin(durable)
    group = { durable }
    try {
      const outcomes: Outcome[] = []
      for (const call of calls) {
        const outcome = await settle(call)
        if (!connection.isInTransaction()) throw outcome.ok ? new Error('the transaction is gone') : outcome.error
        outcomes.push(outcome)
      }
      step('COMMIT')
      return outcomes
    } finally {
      group = undefined
      if (connection.isInTransaction()) {
        step('ROLLBACK')
        session = newSession()
      }
    }
  }

  return {
    database: { read, transaction },
    async group(calls, { durable }) {
      try {
        return await runGroup(calls, durable)
      } catch (error) {
        if (codeOf(error).startsWith('SQLITE_IOERR') || codeOf(causeOf(error)).startsWith('SQLITE_IOERR'))
          logInDoubt = true
        const failure = metadataError('the database could not commit', error)
        return calls.map(() => ({ ok: false, error: failure }))
      }
    },
    close() {
      connection.close()
    },
  }
}

async function settle(call: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: true, value: await call() }
  } catch (error) {
    return { ok: false, error: metadataError('the database refused a change', error) }
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}
