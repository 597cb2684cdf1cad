import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { connect } from './sqlite-connection.ts'

/** Beside the database. */
export const SNAPSHOTS_FOLDER = 'berth-snapshots'

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
