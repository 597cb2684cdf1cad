import { afterAll, beforeAll } from 'bun:test'
import { describeWith } from '../../test/programs.ts'
import type { Opened } from './examples.suite.ts'
import { findPostgres } from './foreign-servers.fixture.ts'
import { metadataSuite } from './metadata.suite.ts'
import { openPostgres } from './postgres.ts'
import { type PostgresDatabase, startPostgresDatabase } from './postgres-database.fixture.ts'

describeWith(['postgres'], 'a PostgreSQL', () => {
  let database: PostgresDatabase

  beforeAll(async () => {
    const programs = findPostgres()
    if (programs === undefined) throw new Error('postgres is not installed: apt-get install postgresql')
    database = await startPostgresDatabase(programs)
  }, 60_000)
  afterAll(() => database.remove())

  async function open(): Promise<Opened> {
    await database.reset()
    const make = () => openPostgres({ ...database.login, connections: 4, now: () => 1 })
    const opened = {
      metadata: await make(),
      execute: (statement: string) => database.execute(statement),
      damage: (statement: string) =>
        database.execute(
          `SET session_replication_role = replica; ${statement}; SET session_replication_role = DEFAULT`,
        ),
      async reopen() {
        await opened.metadata.close()
        opened.metadata = await make()
        return opened.metadata
      },
      close: () => opened.metadata.close(),
    }
    return opened
  }

  metadataSuite('metadata in PostgreSQL', open)
})
