import type { Metadata } from '../metadata/metadata.ts'
import { nouns } from '../metadata/nouns.ts'
import { openWriter, type Writer } from '../metadata/sqlite-writer.ts'

/** All that the registry itself keeps; children before parents. */
const TABLES = [
  ...['link_reviews', 'manifest_reviews', 'discarded_objects', 'trash_references', 'trash', 'tag_history', 'collected'],
  ...[
    'tags',
    'manifest_blobs',
    'manifest_references',
    'manifests',
    'repository_blobs',
    'damaged_blobs',
    'blobs',
    'uploads',
    'deletion_survivors',
    'repository_deletions',
    'repositories',
  ],
] as const

/** One SQLite database for many runs of the model, on the thread of the test. */
export interface ModelDatabase {
  metadata: Metadata
  /** Empties it. */
  reset(): Promise<void>
  close(): void
}

export async function openModelDatabase(path: string): Promise<ModelDatabase> {
  const writer = await openWriter({ path, now: 1 })
  return {
    metadata: inGroups(writer),
    async reset() {
      const removals = TABLES.map(
        (table) => () => writer.database.transaction((trx) => trx.deleteFrom(table).execute(), { durable: false }),
      )
      await writer.group(removals, { durable: false })
    },
    close: () => writer.close(),
  }
}

const DURABLE = { durable: true }
/** Of verifications. */
const LOOKS = ['exists', 'of', 'rows', 'blobs', 'affected', 'damaged', 'countDamaged', 'totals', 'strays', 'uploads']
const QUERIES = new Set([
  'find',
  'resolve',
  'locate',
  'review',
  'discarded',
  'links',
  'manifests',
  'objects',
  'stale',
  ...LOOKS,
])

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
