import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { startRegistry, type TestRegistry } from '../../test/start-registry.ts'
import { createLog } from '../telemetry/log.ts'
import { startExpiringUploads } from './expire-uploads.ts'

const UPLOAD_LIFE = 168 * 3_600_000
const PURGING = { enabled: true, ageMs: UPLOAD_LIFE, intervalMs: 3_600_000, dryRun: false }

let time = Date.now()
let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry({ now: () => time })
})
afterAll(() => registry.stop())

const start = async () =>
  (await fetch(`${registry.url}/v2/app/blobs/uploads/`, { method: 'POST' })).headers.get('location') ?? ''
const statusOf = async (upload: string) => (await fetch(upload)).status
const files = () => readdirSync(join(registry.directory, 'berth-uploads')).length

test('an upload that nobody went on with for a week goes, and one that was touched since stays', async () => {
  const left = await start()
  const touched = await start()
  time += UPLOAD_LIFE - 1000
  expect((await fetch(touched, { method: 'PATCH', body: 'bytes' })).status).toBe(202)
  await registry.app.upkeep.expireUploads()
  expect([await statusOf(left), await statusOf(touched), files()]).toEqual([204, 204, 2])
  time += 2000
  await registry.app.upkeep.expireUploads()
  expect([await statusOf(left), await statusOf(touched), files()]).toEqual([404, 204, 1])
})

test('a failure is logged, and the next run works', async () => {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    formatter: 'text',
    fields: {},
    now: () => 0,
    write: (line) => lines.push(line),
  })
  let calls = 0
  const expire = async () => {
    calls += 1
    if (calls === 1) throw new Error('no disk')
    return 2
  }
  const job = startExpiringUploads({
    uploads: { expire, countStale: async () => 0 },
    purging: () => PURGING,
    log,
    now: () => 0,
  })
  await job.run()
  await job.stop()
  expect(lines.map((line) => /msg="([^"]*)"/.exec(line)?.[1])).toEqual([
    'uploads could not be expired',
    'uploads expired',
  ])
})
