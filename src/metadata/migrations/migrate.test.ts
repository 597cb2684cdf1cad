import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { refusal } from '../examples.suite.ts'
import { openWriter } from '../sqlite-writer.ts'
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
  const tables = () => query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").flat()

  function query(sql: string): unknown[][] {
    using database = new Database(path)
    return database.query(sql).values()
  }

  test('are numbered without gaps', () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, index) => index + 1))
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
      async up(schema, type) {
        await create(3, 'half').up(schema, type)
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
      message: expect.stringMatching(/schema version 2.*up to 1 only/),
    })
    expect(applied()).toHaveLength(2)
  })
})
