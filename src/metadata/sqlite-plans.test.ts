import { type SQLQueryBindings, Database as Sqlite } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { CompiledQuery, QueryResult } from 'kysely'
import type { Database } from './database.ts'
import { blobReference, digest, pushBlob, putManifest, REPOSITORY, refusal } from './examples.suite.ts'
import type { Due, Metadata } from './metadata.ts'
import { type MigrationTables, migrate } from './migrations/migrate.ts'
import { type Nouns, nouns } from './nouns.ts'
import { queryBuilder } from './query-builder.ts'
import { type Query, SQLITE_SPELLING, SQLITE_TYPES } from './sqlite-connection.ts'

/** Tables that grow with the registry. What walks over one of them costs more with each image that anybody pushes. */
const LARGE = [
  ...['blobs', 'repositories', 'repository_blobs', 'manifests', 'manifest_references', 'manifest_blobs', 'tags'],
  ...['tag_history', 'trash', 'trash_references', 'image_expiries', 'manifest_pulls', 'tag_pulls'],
  ...['repository_pulls', 'trash_pulls', 'quota_blobs', 'quota_repositories', 'discarded_objects', 'link_reviews'],
  'manifest_reviews',
]

/** These are what is asked for: a count of a queue, which its index alone has; or they end with the first rows. */
const WANTED = [
  'SCAN link_reviews USING COVERING INDEX link_reviews_since',
  'SCAN manifest_reviews USING COVERING INDEX manifest_reviews_since',
  'SCAN trash USING COVERING INDEX trash_deleted',
  'SCAN discarded_objects USING COVERING INDEX discarded_objects_due',
  // A repository has as many as there are quotas over it.
  'SEARCH quota_repositories USING INDEX sqlite_autoindex_quota_repositories_1 (repository_id=?)',
  // Its first one, whether it has any.
  'SEARCH manifests USING COVERING INDEX sqlite_autoindex_manifests_1 (repository_id=?)',
  // As many as were pushed while their repository is deleted.
  'SEARCH deletion_survivors USING COVERING INDEX sqlite_autoindex_deletion_survivors_1 (repository_id=?)',
  // Those that are indexes, in portions.
  'SEARCH manifests USING INDEX manifests_indexes (repository_id=?)',
]

const DUE: Due = { now: 10, before: 10, causes: [] }
const HURRIED: Due = { now: 10, before: 10, causes: ['deleted'] }
const BY = { now: 10, actor: 'ann' }
const OTHER = 'team/other'

/** What is done with a registry that has a bit of everything; rows run one after the other. */
const CALLS: [string, (metadata: Nouns) => Promise<unknown>][] = [
  ['a push of a blob', (metadata) => pushBlob(metadata as Metadata, 'another layer')],
  ['a push of an image', (metadata) => putImage(metadata, 'new', ['another layer'], ['v1', 'v2'])],
  ['a mount', ({ blobs }) => blobs.mount({ from: [REPOSITORY], to: OTHER, digest: digest('layer'), now: 10 })],
  ['a page of the catalog', ({ repositories }) => repositories.list({ last: 'a', limit: 10 })],
  ['a page of tags', ({ tags }) => tags.list(REPOSITORY, { last: 'a', limit: 10 })],
  ['a page of referrers', ({ referrers }) => referrers.list(REPOSITORY, digest('image'), undefined, { limit: 10 })],
  ['gc status', ({ collection }) => collection.status()],
  ['gc status, garbage', ({ collection }) => collection.garbage({ repositoryId: 1, digest: digest('a') }, 10)],
  ['gc status, the trash', ({ collection }) => collection.heldByTrash(digest('a'), 10)],
  ['gc why', ({ collection }) => collection.why(digest('layer'), 10)],
  ['what remains of an image', ({ collection }) => collection.remains(REPOSITORY, digest('image'))],
  ['candidates of a cycle', ({ collection }) => everyCandidate(collection, DUE)],
  ['candidates of a hurried cycle', ({ collection }) => everyCandidate(collection, HURRIED)],
  ['a deletion of a manifest', ({ manifests }) => manifests.delete(REPOSITORY, digest('new'), BY)],
  ['a cycle', ({ collection }) => cycle(collection)],
  ['another name of a repository', ({ repositories }) => repositories.rename(OTHER, 'team/new', BY)],
  ['a deletion of a repository', (metadata) => remove(metadata)],
]

describe('no plan of SQLite walks over a large table for', () => {
  const seen: string[] = []
  let sqlite: Sqlite
  let metadata: Nouns

  beforeAll(async () => {
    sqlite = new Sqlite(':memory:', { strict: true })
    sqlite.run('PRAGMA foreign_keys = ON')
    const database = explained(sqlite, seen)
    await migrate(database.read.withTables<MigrationTables>(), SQLITE_TYPES, 1)
    metadata = nouns(database)
    await pushBlob(metadata as Metadata, 'layer')
    await pushBlob(metadata as Metadata, 'waits')
    await putImage(metadata, 'image', ['layer'], ['latest'])
    await putImage(metadata, 'untagged', ['layer'], [])
    await putImage(metadata, 'deleted', ['layer'], ['old'])
    await metadata.manifests.delete(REPOSITORY, digest('deleted'), BY)
  })

  afterAll(() => sqlite.close())

  test.each(CALLS)('%s', async (_, call) => {
    seen.length = 0
    await call(metadata)
    expect(seen.length).toBeGreaterThan(0)
    expect(walksOf(seen)).toEqual([])
  })

  test('quotas are not asked for where there were none a moment ago', async () => {
    const push = async (name: string) => {
      seen.length = 0
      await pushBlob(metadata as Metadata, `layer of ${name}`, 'unlimited')
      await putManifest(metadata as Metadata, name, {
        ...{ repository: 'unlimited', tags: ['v1'], references: [blobReference(digest(`layer of ${name}`))] },
      })
      return seen.filter((plan) => plan.includes('quota_repositories')).length
    }
    expect([await push('first'), await push('second')]).toEqual([1, 0])
    const limits = { bytes: 1, tags: undefined, repositories: undefined }
    await metadata.quotas.set({ prefix: 'unlimited', source: 'api', limits, now: 1 })
    while (await metadata.quotas.count());
    expect(await refusal(push('third'))).toMatchObject({ denial: { prefix: 'unlimited' } })
    await metadata.quotas.remove('unlimited', 'api')
    while (await metadata.quotas.count());
    expect([await push('fourth'), await push('fifth')]).toEqual([1, 0])
  })

  test('a query that does is seen', async () => {
    seen.length = 0
    await metadata.status.totals()
    expect(walksOf(seen)).toContain('SCAN blobs')
  })
})

function walksOf(plans: readonly string[]): string[] {
  return plans.filter(
    (plan) =>
      (LARGE.some((table) => plan.startsWith(`SCAN ${table}`)) || /\((repository_id|quota_id)=\?\)$/.test(plan)) &&
      !WANTED.some((walk) => plan === walk),
  )
}

function putImage(metadata: Nouns, name: string, layers: readonly string[], tags: readonly string[]) {
  const references = layers.map((layer) => blobReference(digest(layer)))
  return putManifest(metadata as Metadata, name, { references, tags })
}

async function everyCandidate(collection: Nouns['collection'], due: Due): Promise<void> {
  await collection.links(due, 10)
  await collection.manifests(due, 10)
  await collection.trash(due.before, due.now, 10)
  await collection.objects(due.now, 10)
}

/** Each kind of candidate is taken. */
async function cycle(collection: Nouns['collection']): Promise<void> {
  const [trash] = await collection.trash(10, 10, 10)
  const [manifest] = await collection.manifests(DUE, 10)
  if (trash === undefined || manifest === undefined) throw new Error('there is nothing to collect')
  expect(await collection.purge(trash, 10)).toMatchObject({ kind: 'taken' })
  expect(await collection.takeManifest(manifest, DUE, { to: 'nowhere' })).toMatchObject({ kind: 'taken' })
  for (const link of await collection.links(DUE, 10)) {
    expect(await collection.takeLink(link, DUE)).toMatchObject({ kind: 'taken' })
  }
  const objects = await collection.objects(10, 10)
  expect(objects.length).toBeGreaterThan(0)
  for (const object of objects) await collection.forget(object)
}

async function remove(metadata: Nouns): Promise<void> {
  const { deletions, repositories } = metadata
  await deletions.begin(REPOSITORY, { batch: 'batch', ...BY })
  await putImage(metadata, 'late', ['layer'], ['late'])
  while ((await deletions.advance('batch', { limit: 10, now: 10 }))?.state === 'running');
  expect(await repositories.exists(REPOSITORY)).toBe(true)
  await deletions.begin(REPOSITORY, { batch: 'again', ...BY })
  while ((await deletions.advance('again', { limit: 10, now: 10 }))?.state === 'running');
  expect(await repositories.exists(REPOSITORY)).toBe(false)
}

/** A database that notes the plan of each statement before it runs it, with the names of tables in the place of aliases. */
function explained(sqlite: Sqlite, seen: string[]): Database & { read: Query } {
  const handle = queryBuilder(async <R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> => {
    const values = parameters as SQLQueryBindings[]
    if (/^(select|insert|update|delete|with)/i.test(sql)) {
      const aliases = new Map(
        [...sql.matchAll(/"(\w+)" as "(\w+)"/g)].map(([, table = '', alias = '']) => [alias, table]),
      )
      using plan = sqlite.prepare<{ detail: string }, SQLQueryBindings[]>(`EXPLAIN QUERY PLAN ${sql}`)
      for (const { detail } of plan.all(...values)) {
        seen.push(detail.replace(/^SCAN (\w+)/, (_, name: string) => `SCAN ${aliases.get(name) ?? name}`))
      }
    }
    using statement = sqlite.prepare<R, SQLQueryBindings[]>(sql)
    if (statement.columnNames.length > 0) return { rows: statement.all(...values) }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }, SQLITE_SPELLING)
  return {
    read: handle,
    async transaction(body) {
      sqlite.run('BEGIN')
      try {
        return await body(handle)
      } catch (error) {
        sqlite.run('ROLLBACK')
        throw error
      } finally {
        if (sqlite.inTransaction) sqlite.run('COMMIT')
      }
    },
  }
}
