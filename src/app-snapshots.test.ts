import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSnapshots, startDailyCopies } from './app-snapshots.ts'
import { pushBlob } from './metadata/examples.suite.ts'
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
    await openSnapshots(data, { log, now, newId: () => 'b2' }).stop()
    expect(readdirSync(copies)).toEqual(kept)
  } finally {
    await metadata.close()
    rmSync(folder, { recursive: true })
  }
})
