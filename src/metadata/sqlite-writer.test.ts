import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import type { Handle, Tables } from './database.ts'
import { digest, refusal, upload } from './examples.suite.ts'
import { nouns } from './nouns.ts'
import { quotasOver } from './quota-over.ts'
import { openReader, type Reader } from './sqlite-reader.ts'
import { type Outcome, openWriter, type Writer } from './sqlite-writer.ts'

describe('the writer', () => {
  let directory: string
  let writer: Writer
  let reader: Reader
  let time: number

  beforeEach(async () => {
    time = 0
    directory = mkdtempSync(join(tmpdir(), 'berth-writer-'))
    const path = join(directory, 'berth.db')
    writer = await openWriter({ path, now: 1, limit: 1000, clock: () => time })
    reader = openReader(path)
  })

  afterEach(() => {
    reader.close()
    writer.close()
    rmSync(directory, { recursive: true })
  })

  const add = async (trx: Handle, id: string) => {
    const row = { name: id, password_hash: null, admin: 0, created_at: 1, updated_at: 1 }
    await trx.insertInto('users').values(row).execute()
  }
  const addUser = (id: string) => () => writer.database.transaction((trx) => add(trx, id), { durable: true })
  const names = async () =>
    (await reader.database.read.selectFrom('users').select('name').orderBy('name').execute()).map(({ name }) => name)
  const refused = (message: string): Outcome =>
    expect.objectContaining({
      ok: false,
      error: expect.objectContaining({ message: expect.stringContaining(message) }),
    })
  const durable = { durable: true }
  const pragma = (text: string) => () =>
    writer.database.transaction((trx) => sql.raw(`PRAGMA ${text}`).execute(trx as Kysely<Tables>), durable)

  test('runs the calls of a group in one transaction, which is seen when the group resolves', async () => {
    const during: string[][] = []
    const look = async () => {
      during.push(await names())
    }
    const outcomes = await writer.group([addUser('a'), look, addUser('b')], durable)
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true])
    expect(during).toEqual([[]])
    expect(await names()).toEqual(['a', 'b'])
  })

  test.each(['body', 'group'])('forgets what an undone %s learnt of quotas', async (what) => {
    const { quotas, blobs } = nouns(writer.database)
    const limits = { bytes: 9, tags: undefined, repositories: undefined }
    const blob = { digest: digest('a'), size: 1, key: 'a', upload: 'a', now: 1 }
    const isOver = async () => {
      const [outcome] = await writer.group(
        [() => writer.database.transaction((trx) => quotasOver(trx, 1), durable)],
        durable,
      )
      return outcome?.ok === true && (outcome.value as unknown[]).length > 0
    }
    await writer.group([() => blobs.commit({ ...blob, repository: 'team/app' })], durable)
    expect(await isOver()).toBe(false)
    await writer.group([() => quotas.set({ prefix: 'team', source: 'api', limits, now: 1 })], durable)
    await writer.group([() => quotas.count(), () => quotas.count(), () => quotas.count()], durable)
    expect(await isOver()).toBe(true)
    const learning = () =>
      writer.database.transaction(async (trx) => {
        await trx.deleteFrom('quota_repositories').execute()
        expect(await quotasOver(trx, 1)).toEqual([])
        if (what === 'body') throw new Error('no')
        // Found out when the group commits.
        await sql.raw('PRAGMA defer_foreign_keys = ON').execute(trx as Kysely<Tables>)
        await trx.deleteFrom('repositories').execute()
      }, durable)
    expect((await writer.group([learning], durable)).map(({ ok }) => ok)).toEqual([false])
    expect(await isOver()).toBe(true)
  })

  test('undoes a body that fails, all of it and nothing else', async () => {
    const half = () =>
      writer.database.transaction(async (trx) => {
        await add(trx, 'half')
        throw new Error('changed my mind')
      }, durable)
    const outcomes = await writer.group([addUser('a'), half, addUser('b')], durable)
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true])
    expect(outcomes[1]).toEqual(refused('changed my mind'))
    expect(await names()).toEqual(['a', 'b'])
  })

  test('throws when a body uses the outer handle', async () => {
    const careless = () =>
      writer.database.transaction(async (trx) => {
        await add(trx, 'careless')
        return writer.database.read.selectFrom('users').selectAll().execute()
      }, durable)
    expect(await writer.group([careless], durable)).toEqual([refused('outer handle')])
    expect(await names()).toEqual([])
    expect(await writer.database.read.selectFrom('users').selectAll().execute()).toEqual([])
  })

  test('throws when a body begins another transaction', async () => {
    const nested = () => writer.database.transaction(() => addUser('inner')(), durable)
    expect(await writer.group([nested], durable)).toEqual([refused('inside another')])
    expect(await names()).toEqual([])
  })

  test('throws when a transaction is begun outside of a group', async () => {
    expect(await refusal(addUser('a')())).toMatchObject({ message: expect.stringMatching(/outside of a group/) })
  })

  test('throws when a durable transaction is begun in a relaxed group, which still does the relaxed ones', async () => {
    const { uploads } = nouns(writer.database)
    const outcomes = await writer.group([() => uploads.start(upload()), addUser('a')], { durable: false })
    expect(outcomes).toEqual([{ ok: true, value: undefined }, refused('relaxed group')])
    expect(await names()).toEqual([])
    expect(await reader.hot.uploads.find(upload().repository, upload().id)).toEqual(upload())
  })

  test('gives up a body that does not end, and its handle for good', async () => {
    let late: Handle | undefined
    const stuck = () =>
      writer.database.transaction(async (trx) => {
        late = trx
        await add(trx, 'stuck')
        await new Promise(() => {})
      }, durable)
    const outcomes = await writer.group([addUser('a'), stuck, addUser('b')], durable)
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true])
    expect(outcomes[1]).toEqual(refused('longer than 1000 ms'))
    const intruder = () =>
      writer.database.transaction(async () => {
        if (late !== undefined) await add(late, 'intruder')
      }, durable)
    expect(await writer.group([intruder], durable)).toEqual([refused('is over')])
    expect(await names()).toEqual(['a', 'b'])
  })

  test.each([
    ['at its next statement', true],
    ['at its end', false],
  ])('gives up a body that was busy past its limit %s', async (_, more) => {
    const busy = () =>
      writer.database.transaction(async (trx) => {
        await add(trx, 'busy')
        time += 1001
        if (more) await add(trx, 'more')
      }, durable)
    expect(await writer.group([busy], durable)).toEqual([refused('longer than 1000 ms')])
    expect(await names()).toEqual([])
  })

  test('tells a call that the database may not grow, and works on when it may', async () => {
    const { manifests } = nouns(writer.database)
    const put = () =>
      manifests.put({
        repository: 'team/app',
        digest: digest('large'),
        mediaType: 'text/m',
        bytes: new Uint8Array(500_000),
        tags: ['latest'],
        references: [],
        subject: undefined,
        artifactType: undefined,
        annotations: undefined,
        now: 1,
        actor: '',
      })
    await writer.group([pragma('max_page_count = 50')], durable)
    const outcomes = await writer.group([put], durable)
    expect(outcomes).toEqual([
      { ok: false, error: expect.objectContaining({ name: 'MetadataError', fault: 'no-space' }) },
    ])
    expect(await reader.hot.manifests.resolve('team/app', 'latest')).toBeUndefined()
    await writer.group([pragma('max_page_count = 1000000')], durable)
    expect(await writer.group([put], durable)).toEqual([{ ok: true, value: { stored: true } }])
    expect((await reader.hot.manifests.resolve('team/app', 'latest'))?.digest).toBe(digest('large'))
  })

  test('rejects every call of a group that cannot commit, and works on', async () => {
    const dangling = () =>
      writer.database.transaction(async (trx) => {
        await sql`PRAGMA defer_foreign_keys = ON`.execute(trx as Kysely<Tables>)
        await trx.insertInto('tags').values({ repository_id: 7, name: 'v1', manifest_id: 7, updated_at: 1 }).execute()
      }, durable)
    const outcomes = await writer.group([addUser('a'), dangling, addUser('b')], durable)
    expect(outcomes).toEqual(outcomes.map(() => refused('could not commit')))
    expect(outcomes).toHaveLength(3)
    expect(await names()).toEqual([])
    expect(await writer.group([addUser('c')], durable)).toEqual([{ ok: true, value: undefined }])
    expect(await names()).toEqual(['c'])
  })

  test('commits a group durably if any of its calls is durable, and only then', async () => {
    const modes: unknown[] = []
    const note = (isDurable: boolean) => () =>
      writer.database.transaction(
        async (trx) => {
          modes.push((await sql`PRAGMA synchronous`.execute(trx as Kysely<Tables>)).rows)
        },
        { durable: isDurable },
      )
    await writer.group([note(false)], { durable: false })
    await writer.group([note(false), note(true)], durable)
    await writer.group([note(false)], { durable: false })
    await writer.group([note(true)], durable)
    const [full, normal] = [[{ synchronous: 2 }], [{ synchronous: 1 }]]
    expect(modes).toEqual([normal, full, full, normal, full])
  })

  test('sets on its connections what foreign keys and locks need', async () => {
    const settings = async (handle: Handle) => {
      const of = handle as Kysely<Tables>
      return [
        (await sql`PRAGMA foreign_keys`.execute(of)).rows,
        (await sql`PRAGMA busy_timeout`.execute(of)).rows,
        (await sql`PRAGMA journal_mode`.execute(of)).rows,
      ]
    }
    const expected = [[{ foreign_keys: 1 }], [{ timeout: 0 }], [{ journal_mode: 'wal' }]]
    expect(await settings(writer.database.read)).toEqual(expected)
    expect(await settings(reader.database.read)).toEqual(expected)
  })

  test('does not write through the connection that reads', async () => {
    expect(await refusal(reader.database.transaction((trx) => add(trx, 'a'), durable))).toMatchObject({
      message: expect.stringMatching(/only reads/),
    })
    expect(await refusal(add(reader.database.read, 'a'))).toMatchObject({ name: 'MetadataError', fault: 'read-only' })
  })
})
