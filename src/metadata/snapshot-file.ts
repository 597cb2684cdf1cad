import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { MetadataError } from './metadata.ts'
import { connect, type SqliteConnection, translated } from './sqlite-connection.ts'

/** Beside the database. */
export const SNAPSHOTS_FOLDER = 'berth-snapshots'

/**
 * Reads the whole database and looks at its structure; `thorough`: whether its indexes have what its tables have, too, which takes
 * several times as long. It reads on a connection of its own.
 * @throws MetadataError `corrupt`, with what is wrong first
 */
export function checkDatabaseFile(path: string, thorough: boolean): void {
  const connection = connect(path, 'read')
  try {
    check(connection, path, thorough)
  } finally {
    connection.close()
  }
}

function check(connection: SqliteConnection, path: string, thorough: boolean): void {
  const statement = `PRAGMA ${thorough ? 'integrity_check' : 'quick_check'}(1)`
  const row = translated(`cannot check the database ${path}`, () => connection.prepare(statement).get())
  const [found] = row instanceof Object ? Object.values(row) : []
  if (found === 'ok') return
  // Below a headline, which names no database but this one.
  throw new MetadataError(
    'corrupt',
    `the database ${path} is damaged: ${String(found)
      .replace(/^\*\*\*.*\n/, '')
      .replaceAll('\n', '; ')}`,
  )
}

/**
 * Copies a database as it is at this moment. The name `to` stands for all of it, on the disk, or is not there. It reads on a
 * connection of its own, and readers of a write-ahead log hold up nobody who writes. The folder of `to` is there.
 */
export function writeSnapshotFile(from: string, to: string): void {
  const draft = `${to}.new`
  rmSync(draft, { force: true })
  try {
    // Made beforehand, because SQLite would make it readable by everybody.
    closeSync(openSync(draft, 'wx', 0o600))
    const connection = connect(from, 'read')
    try {
      // A copy of tables can be made where their indexes are broken, and would take the place of a good one.
      check(connection, from, false)
      connection.run(`VACUUM INTO '${draft.replaceAll("'", "''")}'`)
    } finally {
      connection.close()
    }
    sync(draft)
    renameSync(draft, to)
    sync(dirname(to))
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
