import { test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metadata } from '../metadata/metadata.ts'
import { nouns } from '../metadata/nouns.ts'
import { openWriter, type Writer } from '../metadata/sqlite-writer.ts'
import { expectBusy, MINUTES, runModel, runs, walk } from './collect-model.suite.ts'

/** All that the registry itself keeps; children before parents. */
const TABLES = [
  ...['link_reviews', 'manifest_reviews', 'discarded_objects', 'trash_references', 'trash', 'tag_history', 'collected'],
  ...[
    'tags',
    'manifest_blobs',
    'manifest_references',
    'manifests',
    'repository_blobs',
    'blobs',
    'uploads',
    'repositories',
  ],
] as const

test(
  'pushes, pulls, deletions, restorations and the collector in any order, with crashes, on SQLite',
  async () => {
    const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'berth-model-'))
    const writer = await openWriter({ path: join(directory, 'berth.db'), now: 1 })
    try {
      const metadata = inGroups(writer)
      const count = runs(400)
      const sum = await walk(count, async (seed) => {
        await writer.group(
          TABLES.map(
            (table) => () => writer.database.transaction((trx) => trx.deleteFrom(table).execute(), { durable: false }),
          ),
          { durable: false },
        )
        return await runModel({ metadata, keys: 'taken again' }, { seed, operations: 14 })
      })
      expectBusy(sum, count)
    } finally {
      writer.close()
      rmSync(directory, { recursive: true })
    }
  },
  MINUTES,
)

const DURABLE = { durable: true }
const QUERIES = new Set(['find', 'resolve', 'locate', 'review', 'discarded', 'links', 'manifests', 'objects', 'stale'])

/** The nouns over one connection, each call in a group of its own, without the thread that is between them in the product. */
function inGroups(writer: Writer): Metadata {
  const all = nouns(writer.database)
  let last: Promise<unknown> = Promise.resolve()
  const wrapped = Object.entries(all).map(([noun, methods]) => [
    noun,
    Object.fromEntries(
      Object.entries(methods as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>).map(
        ([name, method]) => [
          name,
          async (...args: unknown[]) => {
            // Queries need no transaction of their own, but run beside none.
            const isQuery = QUERIES.has(name)
            const mine = last.then(() => (isQuery ? method(...args) : writer.group([() => method(...args)], DURABLE)))
            last = mine.catch(() => {})
            if (isQuery) return await mine
            const [outcome] = (await mine) as Awaited<ReturnType<Writer['group']>>
            if (outcome?.ok === true) return outcome.value
            throw outcome?.error
          },
        ],
      ),
    ),
  ])
  return { ...Object.fromEntries(wrapped), close: async () => {} } as Metadata
}
