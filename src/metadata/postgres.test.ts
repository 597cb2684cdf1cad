import { afterAll, beforeAll } from 'bun:test'
import { describeWith } from '../../test/programs.ts'
import type { Opened } from './examples.suite.ts'
import { findPostgres } from './foreign-servers.fixture.ts'
import { metadataSuite } from './metadata.suite.ts'
import { connectPostgres, openPostgres } from './postgres.ts'
import { type PostgresDatabase, startPostgresDatabase } from './postgres-database.fixture.ts'

describeWith(['postgres'], 'a PostgreSQL', () => {
  let database: PostgresDatabase
  /** New connections know no statement and no table yet, and would have to learn all for each test. */
  let pool: Bun.SQL

  beforeAll(async () => {
    const programs = findPostgres()
    if (programs === undefined) throw new Error('postgres is not installed: apt-get install postgresql')
    database = await startPostgresDatabase(programs)
    pool = connectPostgres({ ...database.login, connections: 4 })
  }, 180_000)
  afterAll(async () => {
    await pool.close({ timeout: 0 })
    await database.remove()
  })

  async function open(): Promise<Opened> {
    await database.reset()
    // A machine that is busy may take longer than a server would allow.
    const login = { ...database.login, now: () => 1, limit: 60_000 }
    const opened = {
      metadata: await openPostgres({ ...login, pool }),
      execute: (statement: string) => database.execute(statement),
      damage: (statement: string) =>
        database.execute(
          `SET session_replication_role = replica; ${statement}; SET session_replication_role = DEFAULT`,
        ),
      async reopen() {
        await opened.metadata.close()
        opened.metadata = await openPostgres({ ...login, connections: 4 })
        return opened.metadata
      },
      close: () => opened.metadata.close(),
    }
    return opened
  }

  metadataSuite('metadata in PostgreSQL', open)
})
