import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { describeWith } from '../../test/programs.ts'
import { blobReference, digest, pushBlob, putManifest, REPOSITORY } from './examples.suite.ts'
import { findPostgres } from './foreign-servers.fixture.ts'
import type { Metadata } from './metadata.ts'
import { openPostgres } from './postgres.ts'
import { type PostgresDatabase, startPostgresDatabase } from './postgres-database.fixture.ts'

const OTHER = 'team/other'
const LAYER = digest('layer')
const DUE = { now: 10, before: 10, causes: [] } as const
const by = { now: 20, actor: 'ann' }

/** Locks of rows, each while somebody else holds that row: what only transactions that run side by side show. */
describeWith(['postgres'], 'a PostgreSQL in which somebody is at work', () => {
  let database: PostgresDatabase
  let sql: Bun.SQL
  let metadata: Metadata

  beforeAll(async () => {
    const programs = findPostgres()
    if (programs === undefined) throw new Error('postgres is not installed: apt-get install postgresql')
    database = await startPostgresDatabase(programs)
    const { hostname, port, username, password, database: name } = database.login
    sql = new Bun.SQL({
      ...{ adapter: 'postgres', hostname, port, username, database: name, tls: 'disable', max: 2 },
      password: () => password,
    })
  }, 180_000)
  afterAll(async () => {
    await sql.close({ timeout: 0 })
    await database.remove()
  })
  beforeEach(async () => {
    await database.reset()
    metadata = await openPostgres({ ...database.login, connections: 2, now: () => 1, limit: 60_000 })
    // Another repository needs it, so that nobody has to change its row.
    await pushBlob(metadata, 'layer', OTHER)
    await putManifest(metadata, 'image', { repository: OTHER, tags: ['v1'], references: [blobReference(LAYER)] })
    await pushBlob(metadata, 'layer')
  })
  afterEach(() => metadata.close())

  /** Does `work` while a transaction of somebody else has that row. */
  async function whileHeld<T>(table: 'blobs' | 'repositories', name: string, work: () => Promise<T>): Promise<T> {
    const holder = await sql.reserve()
    try {
      await holder.unsafe('BEGIN')
      const column = table === 'blobs' ? 'digest' : 'name'
      await holder.unsafe(`SELECT 1 FROM ${table} WHERE ${column} = '${name}' FOR NO KEY UPDATE`)
      return await work()
    } finally {
      await holder.unsafe('COMMIT')
      holder.release()
    }
  }

  async function isAnybodyWaiting(): Promise<boolean> {
    const rows = await sql.unsafe("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return rows.length > 0
  }

  /** Begins the call, which somebody has to wait for by then. */
  async function waitingFor(call: () => Promise<unknown>): Promise<{ calling: Promise<unknown>; waited: boolean }> {
    let isOver = false
    const begun = call().finally(() => {
      isOver = true
    })
    let isWaiting = false
    while (!isOver && !isWaiting) isWaiting = await isAnybodyWaiting()
    return { calling: begun.catch((error: unknown) => error), waited: isWaiting }
  }

  test.each([
    ['the blob', 'blobs', LAYER],
    ['the repository', 'repositories', REPOSITORY],
  ] as const)('the collector leaves a link to whoever has %s', async (_, table, name) => {
    const [link] = await metadata.collection.links(DUE, 1)
    if (link === undefined) throw new Error('nothing waits')
    const take = () => metadata.collection.takeLink(link, DUE)
    expect(await whileHeld(table, name, take)).toEqual({ kind: 'busy' })
    expect(await take()).toMatchObject({ kind: 'taken' })
  })

  const waiting: [string, () => Promise<unknown>, unknown][] = [
    ['a mount', () => metadata.blobs.mount({ digest: LAYER, from: [OTHER], to: 'team/new', now: 20 }), true],
    [
      'a commit',
      () =>
        metadata.blobs.commit({
          ...{ repository: 'team/new', digest: LAYER, size: 10, key: 'another key', upload: 'upload-2', now: 20 },
        }),
      'key-of-layer',
    ],
    ['a deletion of a blob', () => metadata.blobs.unlink(REPOSITORY, LAYER, { now: 20 }), 'unlinked'],
    [
      'a purge',
      async () => {
        const [buried] = await metadata.collection.trash(100, 100, 1)
        if (buried === undefined) throw new Error('nothing is in the trash')
        return (await metadata.collection.purge(buried, 100)).kind
      },
      'taken',
    ],
  ]
  test.each(waiting)('%s waits for whoever has the blob', async (_, call, expected) => {
    await putManifest(metadata, 'deleted', { references: [blobReference(LAYER)] })
    await metadata.manifests.delete(REPOSITORY, digest('deleted'), by)
    const { calling, waited } = await whileHeld('blobs', LAYER, () => waitingFor(call))
    expect([waited, await calling]).toEqual([true, expected])
  })

  test('a link that goes while somebody asks for its blob is not there for him', async () => {
    const holder = await sql.reserve()
    const touch = () => metadata.blobs.touch(REPOSITORY, LAYER, 20)
    await holder.unsafe('BEGIN')
    // As the collector takes it: the review goes with the link.
    await holder.unsafe(
      `DELETE FROM repository_blobs WHERE repository_id = (SELECT id FROM repositories WHERE name = '${REPOSITORY}')`,
    )
    const { calling, waited } = await waitingFor(touch)
    await holder.unsafe('COMMIT')
    holder.release()
    expect([waited, await calling, await touch()]).toEqual([true, false, false])
  })
})
