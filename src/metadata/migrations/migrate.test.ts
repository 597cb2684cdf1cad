import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from '../../../package.json' with { type: 'json' }
import { digest, putManifest, refusal, user } from '../examples.suite.ts'
import { openSqlite } from '../sqlite.ts'
import { connect } from '../sqlite-connection.ts'
import { recordSchema, replaySchema } from '../sqlite-schema.ts'
import { openWriter } from '../sqlite-writer.ts'
import { initial } from './initial.ts'
import { MIGRATIONS, type Migration } from './migrate.ts'

describe('migrations', () => {
  let directory: string
  let path: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-migrations-'))
    path = join(directory, 'berth.db')
  })

  afterEach(() => rmSync(directory, { recursive: true }))

  const create = (version: number, table: string): Migration => ({
    version,
    name: table,
    async up(schema, type) {
      await schema.createTable(table).addColumn('id', type.id).execute()
    },
  })
  const open = async (migrations: readonly Migration[], now: number) =>
    (await openWriter({ path, now, migrations })).close()
  const applied = () => query('SELECT version, name, applied_at FROM migrations ORDER BY version')
  const tables = () =>
    query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'programs' ORDER BY name").flat()

  function query(sql: string): unknown[][] {
    using database = new Database(path)
    return database.query(sql).values()
  }

  test('are numbered without gaps', () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, index) => index + 1))
  })

  test('give a new database the same when they are replayed from a record', async () => {
    const everything = (file: string) => {
      using database = new Database(file)
      const schema = database.query('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid').values()
      const names = schema.filter(([type]) => type === 'table').map(([, name]) => String(name))
      return [schema, names.map((name) => [name, database.query(`SELECT * FROM "${name}" ORDER BY rowid`).values()])]
    }
    ;(await openWriter({ path, now: 70 })).close()
    const replayed = join(directory, 'replayed.db')
    writeFileSync(replayed, '')
    const connection = connect(replayed, 'write')
    expect(replaySchema(connection, 70, await recordSchema())).toBe(true)
    connection.close()
    expect(everything(replayed)).toEqual(everything(path))
  })

  test('run once each, in order', async () => {
    await open([create(1, 'one')], 10)
    await open([create(1, 'one'), create(2, 'two'), create(3, 'three')], 20)
    await open([create(1, 'one'), create(2, 'two'), create(3, 'three')], 30)
    expect(applied()).toEqual([
      [1, 'one', 10],
      [2, 'two', 20],
      [3, 'three', 20],
    ])
    expect(tables()).toEqual(['migrations', 'one', 'three', 'two'])
  })

  test('that fail leave nothing of themselves or of those before them', async () => {
    await open([create(1, 'one')], 10)
    const failing: Migration = {
      version: 3,
      name: 'failing',
      async up(...given) {
        await create(3, 'half').up(...given)
        throw new Error('no way on')
      },
    }
    expect(await refusal(open([create(1, 'one'), create(2, 'two'), failing], 20))).toMatchObject({
      message: expect.stringMatching(/no way on/),
    })
    expect(applied()).toEqual([[1, 'one', 10]])
    expect(tables()).toEqual(['migrations', 'one'])
  })

  test('of a newer program are refused, and the database stays as it is', async () => {
    await open([create(1, 'one'), create(2, 'two')], 10)
    expect(await refusal(open([create(1, 'one')], 20))).toMatchObject({
      message: expect.stringMatching(
        /schema version 2.*up to 1 only: run Berth \d+\.\d+\.\d+, which made it, or a newer one/,
      ),
    })
    expect(applied()).toHaveLength(2)
    // One that does not tell who made it is refused all the same.
    query('DELETE FROM programs')
    expect(await refusal(open([create(1, 'one')], 20))).toMatchObject({
      message: expect.stringMatching(/schema version 2.*up to 1 only: run the newer Berth that made it, or go back/),
    })
  })

  test('tell which program made the schema as it is', async () => {
    await open([create(1, 'one')], 10)
    await open([create(1, 'one'), create(2, 'two'), create(3, 'three')], 20)
    await open([create(1, 'one'), create(2, 'two'), create(3, 'three')], 30)
    expect(query('SELECT schema_version, program FROM programs ORDER BY schema_version')).toEqual([
      [1, version],
      [3, version],
    ])
  })

  test('may add rows, which go with them when a later one fails', async () => {
    const seeded: Migration = {
      version: 1,
      name: 'seeded',
      async up(schema, type, insert, rows) {
        await create(1, 'one').up(schema, type, insert, rows)
        await insert('one', [{ id: 3 }, { id: 5 }])
      },
    }
    const failing: Migration = {
      version: 2,
      name: 'failing',
      async up(_schema, _type, insert) {
        await insert('one', [{ id: 7 }])
        throw new Error('no way on')
      },
    }
    await open([seeded], 10)
    expect(await refusal(open([seeded, failing], 20))).toMatchObject({ message: expect.stringMatching(/no way on/) })
    expect(query('SELECT id FROM one ORDER BY id').flat()).toEqual([3, 5])
  })

  test('keep the users of the first schema, as people whom an administrator made', async () => {
    await open([initial], 10)
    query("INSERT INTO users VALUES ('ann', '$2b$05$hash', 1, 3, 4), ('bob', NULL, 0, 5, 6)")
    const metadata = await openSqlite({ path, now: () => 20 })
    try {
      const ann = user('ann', { admin: true, createdAt: 3, updatedAt: 4 })
      const bob = user('bob', { passwordHash: undefined, createdAt: 5, updatedAt: 6 })
      expect(await metadata.users.list({ limit: 10 })).toStrictEqual([ann, bob])
      expect(await metadata.users.find('ann')).toStrictEqual(ann)
      expect(await metadata.users.list({ limit: 10 }, 'robot')).toEqual([])
      expect(await metadata.groups.of('ann')).toEqual([])
      await metadata.users.put({ ...bob, labels: { team: ['a'] } })
      expect(await metadata.users.find('bob')).toStrictEqual({ ...bob, labels: { team: ['a'] } })
      const { revision, rules } = await metadata.rules.list()
      expect({ revision, ids: rules.map(({ id }) => id) }).toEqual({ revision: 1, ids: ['catalog', 'everyone'] })
    } finally {
      await metadata.close()
    }
    expect(applied()).toEqual(MIGRATIONS.map(({ version, name }) => [version, name, version === 1 ? 10 : 20]))
  })

  test('keep a copy of the database as it was before, which is whole', async () => {
    await open([initial], 10)
    query("INSERT INTO users VALUES ('ann', '$2b$05$hash', 1, 3, 4)")
    expect(existsSync(join(directory, 'berth-snapshots'))).toBe(false)
    await (await openSqlite({ path, now: () => 20 })).close()
    await (await openSqlite({ path, now: () => 30 })).close()
    const name = `before-schema-${MIGRATIONS.length}-was-1.db`
    expect(readdirSync(join(directory, 'berth-snapshots'))).toEqual([name])
    const kept = join(directory, 'berth-snapshots', name)
    expect(statSync(kept).mode & 0o777).toBe(0o600)
    // Whoever goes back takes it for the database.
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
    path = kept
    expect(query('PRAGMA integrity_check')).toEqual([['ok']])
    expect(applied()).toEqual([[1, 'initial', 10]])
    expect(query('SELECT name, password_hash FROM users')).toEqual([['ann', '$2b$05$hash']])
  })

  test('go on with the ids of the trash above those that it has', async () => {
    await open(
      MIGRATIONS.filter(({ version }) => version <= 10),
      10,
    )
    query("INSERT INTO repositories (id, name, listed, created_at) VALUES (1, 'team/app', 0, 1)")
    const columns = 'id, repository_id, digest, media_type, size, pushed_at, tags, reason, actor, deleted_at'
    for (const id of [3, 7]) {
      query(
        `INSERT INTO trash (${columns}, attempts, not_before, bytes)
         VALUES (${id}, 1, 'sha256:${id}', 'x', 1, 1, '[]', 'deleted', '', 1, 0, 0, X'00')`,
      )
    }
    const metadata = await openSqlite({ path, now: () => 20 })
    await putManifest(metadata, 'image')
    await metadata.manifests.delete('team/app', digest('image'), { now: 30, actor: '' })
    expect((await metadata.trash.list({}, { limit: 9 })).map(({ id }) => id)).toEqual([8, 7, 3])
    await metadata.close()
  })

  test('do not begin where no copy can be kept', async () => {
    await open([create(1, 'one')], 10)
    writeFileSync(join(directory, 'berth-snapshots'), 'in the way')
    expect(await refusal(open([create(1, 'one'), create(2, 'two')], 20))).toMatchObject({
      message: expect.stringContaining('cannot keep a copy of the database in'),
    })
    expect([applied(), tables()]).toEqual([[[1, 'one', 10]], ['migrations', 'one']])
  })

  test('put no rules back that were changed since', async () => {
    const first = await openSqlite({ path, now: () => 10 })
    await first.rules.replace(1, [])
    await first.close()
    const again = await openSqlite({ path, now: () => 20 })
    expect(await again.rules.list()).toEqual({ revision: 2, rules: [] })
    await again.close()
  })
})
