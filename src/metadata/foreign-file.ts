import { Database } from 'bun:sqlite'
import { stat } from 'node:fs/promises'
import type { FileConnection } from './foreign-connection.ts'
import type { ForeignDatabase } from './foreign-database.ts'

/** Milliseconds between two attempts while somebody else writes. */
const BUSY_STEP_MS = 20

/** A SQLite file of somebody else: opened for reading only, and opened again when another file takes its place. */
export function openFile({ path, mayWrite, busyMs }: FileConnection): ForeignDatabase {
  let open: { database: Database; identity: string } | undefined

  async function current(): Promise<Database> {
    const { dev, ino } = await stat(path, { bigint: true })
    const identity = `${dev}:${ino}`
    if (open?.identity !== identity) {
      drop()
      const database = new Database(path, { readonly: true })
      // Waiting is done here, where others can go on meanwhile.
      database.run('PRAGMA busy_timeout = 0')
      open = { database, identity }
    }
    return open.database
  }

  function drop(): void {
    open?.database.close()
    open = undefined
  }

  async function patiently<T>(attempt: () => T | Promise<T>): Promise<T> {
    const attempts = Math.ceil(busyMs / BUSY_STEP_MS)
    for (let n = 0; ; n++) {
      try {
        return await attempt()
      } catch (error) {
        if (n >= attempts || !codeOf(error).startsWith('SQLITE_BUSY')) throw error
      }
      await Bun.sleep(BUSY_STEP_MS)
    }
  }

  return {
    query: (statement, values = []) =>
      patiently(async () => {
        const prepared = (await current()).prepare(statement)
        try {
          return prepared.all(...values) as Record<string, unknown>[]
        } finally {
          prepared.finalize()
        }
      }),
    isMissingTable: (error) => error instanceof Error && error.message.startsWith('no such table'),
    isForeignText: () => false,
    async define(statement) {
      if (!mayWrite) throw new Error('the connection string says mode=ro')
      await patiently(() => {
        const writer = new Database(path, { readwrite: true, create: false })
        try {
          writer.run(statement)
        } finally {
          writer.close()
        }
      })
    },
    async close() {
      drop()
    },
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
