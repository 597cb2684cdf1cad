import { Database } from 'bun:sqlite'
import { existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { RESERVE_FILE } from '../../src/files/reserve-file.ts'

/** What is in every data directory of a server that is stopped, beside what the database names. */
const KEPT = new Set(['audit.log', 'berth.db', 'berth.lock', RESERVE_FILE])
/** Copies of the database that it keeps by itself. */
const COPIES = /^berth-snapshots\/(daily-[\dTZ.-]+|before-schema-\d+-was-\d+)\.db$/

/**
 * Compares the files of a stopped server's data directory with the rows of its database, in both directions, and answers
 * what one has and the other has not (before anybody else opens the database, whose log would be there): nothing that a fault left lies about, and no row lacks its bytes.
 */
export function strays(directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => !KEPT.has(path) && !COPIES.test(path))
  const database = new Database(join(directory, 'berth.db'), { readonly: true })
  try {
    const column = (sql: string) =>
      database
        .query(sql)
        .values()
        .map(([value]) => String(value))
    const keys = column('SELECT storage_key FROM blobs')
    const waiting = column('SELECT storage_key FROM discarded_objects')
    const uploads = column('SELECT id FROM uploads').map((id) => `berth-uploads/${id}`)
    const named = new Set([...keys, ...waiting, ...uploads])
    return [
      ...files.filter((path) => !named.has(path)).map((path) => `${path} has no row`),
      ...[...keys, ...uploads]
        .filter((path) => !existsSync(join(directory, path)))
        .map((path) => `${path} has no file`),
    ].sort()
  } finally {
    database.close()
  }
}
