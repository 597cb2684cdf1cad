import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { refusal } from './examples.suite.ts'
import type { MetadataError } from './metadata.ts'
import { openSqlite } from './sqlite.ts'
import { createLooks, type Looks } from './sqlite-looks.ts'

describe('a look at all that there is', () => {
  let directory: string
  let path: string
  let looks: Looks
  let heard: MetadataError[]

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-looks-'))
    path = join(directory, 'berth.db')
    const metadata = await openSqlite({ path, now: () => 1 })
    const limits = { bytes: 5, tags: undefined, repositories: undefined }
    await metadata.quotas.set({ prefix: 'team', source: 'api', limits, now: 1 })
    await metadata.close()
    heard = []
    looks = createLooks(path, (error) => heard.push(error))
  })

  afterEach(async () => {
    await looks.close()
    rmSync(directory, { recursive: true })
  })

  const none = { bytes: 0, tags: 0, repositories: 0 }

  test('waits for nobody who writes, and sees one moment', async () => {
    using writer = new Database(path)
    writer.run('BEGIN IMMEDIATE')
    writer.run('UPDATE quotas SET bytes = 7')
    const recount = looks.method('quotas', 'recount')
    expect(await Promise.all([recount(1), recount(2)])).toEqual([{ stored: none, counted: none }, undefined])
    writer.run('COMMIT')
    expect(await recount(1)).toEqual({ stored: { ...none, bytes: 7 }, counted: none })
    expect(heard).toEqual([])
  })

  test('is brief where it was no longer than others may wait', async () => {
    let time = 0
    let took = 0
    const asked: string[] = []
    const timed = createLooks(path, undefined, () => time)
    const totals = timed.unless(
      async () => {
        asked.push('brief')
        time += took
      },
      async () => void asked.push('long'),
    )
    for (took of [0, 100, 101, 0]) await totals()
    expect(asked).toEqual(['brief', 'brief', 'brief', 'long'])
    await timed.close()
  })

  test('of a database that is damaged is told', async () => {
    rmSync(path)
    await Bun.write(path, 'none')
    expect(await refusal(looks.method('quotas', 'recount')(1))).toMatchObject({ fault: 'corrupt' })
    expect(heard.map(({ fault }) => fault)).toEqual(['corrupt'])
  })

  test('ends with the database', async () => {
    const recount = looks.method('quotas', 'recount')
    const [first, second] = [recount(1), recount(1)].map(refusal)
    await looks.close()
    const closed = { message: 'the database is closed' }
    expect([await first, await second, await refusal(recount(1))]).toMatchObject([closed, closed, closed])
  })
})
