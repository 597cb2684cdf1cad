import { afterAll, beforeAll, test } from 'bun:test'
import { describeWith } from '../../test/programs.ts'
import { findPostgres } from '../metadata/foreign-servers.fixture.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { openPostgres } from '../metadata/postgres.ts'
import { type PostgresDatabase, startPostgresDatabase } from '../metadata/postgres-database.fixture.ts'
import { MINUTES, runModel, runs, walk } from './collect-model.suite.ts'

describeWith(['postgres'], 'a PostgreSQL', () => {
  let database: PostgresDatabase
  let metadata: Metadata

  beforeAll(async () => {
    const programs = findPostgres()
    if (programs === undefined) throw new Error('postgres is not installed: apt-get install postgresql')
    database = await startPostgresDatabase(programs)
    metadata = await openPostgres({ ...database.login, connections: 4, limit: 60_000 })
  }, 180_000)
  afterAll(async () => {
    await metadata.close()
    await database.remove()
  })

  test(
    'the same, where each operation is a process of its own and transactions run side by side',
    async () => {
      await walk(runs(30), async (seed) => {
        await database.reset()
        return await runModel({ metadata, keys: 'never' }, { seed, operations: 18 })
      })
    },
    MINUTES,
  )
})
