import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDamageWatch } from './app-damage.ts'
import { openSnapshots, startDailyCopies } from './app-snapshots.ts'
import { pushBlob, refusal } from './metadata/examples.suite.ts'
import { openSnapshot } from './metadata/snapshot.ts'
import { openSqlite } from './metadata/sqlite.ts'
import { createLog } from './telemetry/log.ts'

const DAY = 24 * 3_600_000
const START = Date.parse('2026-01-02T03:04:05.678Z')

test('copies of the database are whole, one a day, and what a kill left goes at the next start', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-copies-'))
  const data = { directory: folder, metadata: folder }
  const metadata = await openSqlite({ path: join(folder, 'berth.db'), now: () => START })
  try {
    let time = START
    const now = () => time
    const log = createLog({ level: 'error', formatter: 'text', fields: {}, write: () => {}, now })
    const least = { bytes: 0 }
    const copying = startDailyCopies({
      data,
      config: () => ({ backup: { database: { enabled: true, keep: 2 } }, trash: { windowMs: 0, minFree: least } }),
      ...{ background: false, log, now },
    })
    await pushBlob(metadata, 'first')
    await copying.run()
    await pushBlob(metadata, 'second')
    for (time of [START + 1, START + DAY, START + 2 * DAY]) await copying.run()
    const copies = join(folder, 'berth-snapshots')
    expect(readdirSync(copies).sort()).toEqual(['daily-2026-01-03T030405.678Z.db', 'daily-2026-01-04T030405.678Z.db'])
    const newest = join(copies, 'daily-2026-01-04T030405.678Z.db')
    expect(statSync(newest).mode & 0o777).toBe(0o600)
    const snapshot = openSnapshot(newest)
    expect([snapshot.faults(), await snapshot.total()]).toEqual([[], { count: 2, bytes: 20 }])
    snapshot.close()

    least.bytes = Number.MAX_SAFE_INTEGER
    time = START + 9 * DAY
    await copying.run()
    await copying.stop()
    expect(readdirSync(copies)).toHaveLength(2)

    const kept = readdirSync(copies)
    for (const name of ['backup-a1.db', 'daily-2026-01-05T030405.678Z.db.new']) writeFileSync(join(copies, name), '')
    await openSnapshots(data, { log, now, newId: () => 'b2', background: true }).stop()
    expect(readdirSync(copies)).toEqual(kept)
  } finally {
    await metadata.close()
    rmSync(folder, { recursive: true })
  }
})

test('a damaged database is found, told with the way back, written to no more, and takes the place of no good copy', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-copies-'))
  const data = { directory: folder, metadata: folder }
  const path = join(folder, 'berth.db')
  const lines: string[] = []
  let time = START
  const now = () => time
  const log = createLog({ level: 'warn', formatter: 'text', fields: {}, write: (line) => lines.push(line), now })
  const watch = createDamageWatch({ data, log })
  const { damage } = watch
  const metadata = await openSqlite({ path, now: () => START, damage })
  try {
    const copying = startDailyCopies({
      data,
      config: () => ({
        backup: { database: { enabled: true, keep: 1 } },
        trash: { windowMs: 0, minFree: { bytes: 0 } },
      }),
      ...{ background: false, damage, log, now },
    })
    const blob = await pushBlob(metadata, 'first')
    await copying.run()
    await watch.look()
    expect([watch.finding(), lines]).toEqual([undefined, []])
    const copies = join(folder, 'berth-snapshots')
    const [name = ''] = readdirSync(copies)
    const good = readFileSync(join(copies, name))

    // An index that its table knows nothing of: a copy of the tables alone would come out well.
    const { page, size } = pageOf(path, 'sqlite_autoindex_blobs_1')
    const whole = readFileSync(path).subarray(page, page + size)
    overwrite(path, page, Buffer.alloc(size, 0xa5))
    time += 2 * DAY
    await copying.run()
    expect(readdirSync(copies)).toEqual([name])
    expect(readFileSync(join(copies, name)).equals(good)).toBe(true)
    expect(lines.join('')).toContain(`mv berth.db* broken/ && cp -p berth-snapshots/${name} berth.db`)
    expect(watch.finding()).toMatch(/^the database \S+ is damaged: Tree .*\. If the disk is well, stop Berth, go back/)
    expect(await refusal(pushBlob(metadata, 'second'))).toMatchObject({ name: 'MetadataError', fault: 'corrupt' })
    await watch.look()
    expect(damage.found).toBeDefined()

    // It was the disk, which gives the page again.
    overwrite(path, page, whole)
    await watch.look()
    expect(watch.finding()).toBeUndefined()
    await pushBlob(metadata, 'second')
    expect((await metadata.blobs.locate(blob))?.digest).toBe(blob)
    await copying.run()
    expect(readdirSync(copies)).toEqual([expect.stringContaining('2026-01-04')])
  } finally {
    await metadata.close()
    rmSync(folder, { recursive: true })
  }
})

/** Where the first page of an index is, when all of the log is in the file. */
function pageOf(path: string, name: string): { page: number; size: number } {
  using database = new Database(path)
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  const [root] = database.query('SELECT rootpage FROM sqlite_schema WHERE name = ?').values(name)[0] ?? []
  const [size] = database.query('PRAGMA page_size').values()[0] ?? []
  return { page: (Number(root) - 1) * Number(size), size: Number(size) }
}

function overwrite(path: string, position: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, position)
  closeSync(file)
}

test.each([
  ['a server logs', true, 1],
  ['a command without one, which shows it to its user, does not log', false, 0],
])('why a snapshot could not be written %s', async (_, background, lines) => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-copies-'))
  try {
    const logged: string[] = []
    const log = createLog({
      level: 'error',
      formatter: 'text',
      fields: {},
      write: (line) => logged.push(line),
      now: Date.now,
    })
    // There is no database.
    const data = { directory: folder, metadata: folder }
    const snapshots = openSnapshots(data, { log, now: Date.now, newId: () => 'a1', background })
    snapshots.begin()
    while (snapshots.find('a1')?.state === 'writing') await Bun.sleep(5)
    expect(snapshots.find('a1')).toMatchObject({ state: 'failed', problem: expect.stringContaining('berth.db') })
    expect(logged).toHaveLength(lines)
    await snapshots.stop()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
