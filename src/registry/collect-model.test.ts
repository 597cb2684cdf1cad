import { test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../../test/scratch.ts'
import { MINUTES, runModel, runs, walk } from './collect-model.suite.ts'
import { openModelDatabase } from './collect-model-sqlite.fixture.ts'

test(
  'pushes, pulls, deletions, restorations and the collector in any order, with crashes, on SQLite',
  async () => {
    const directory = scratchFolder('berth-model-')
    const database = await openModelDatabase(join(directory, 'berth.db'))
    try {
      await walk(runs(100), async (seed) => {
        await database.reset()
        return await runModel({ metadata: database.metadata, keys: 'taken again' }, { seed, operations: 18 })
      })
    } finally {
      database.close()
      rmSync(directory, { recursive: true })
    }
  },
  MINUTES,
)
