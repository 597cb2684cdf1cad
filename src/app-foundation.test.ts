import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Foundation, openFoundation } from './app-foundation.ts'
import type { AuditRow, Metadata } from './metadata/metadata.ts'
import { openQuickly } from './metadata/sqlite.fixture.ts'
import { createLog } from './telemetry/log.ts'

const ROW: AuditRow = {
  at: Date.now(),
  kind: 'token',
  account: 'ann',
  source: 'static',
  address: '192.0.2.1',
  service: 'reg',
  asked: '',
  granted: '',
  rules: '',
  outcome: 'granted',
  detail: '',
}

let folder: string
let metadata: Metadata
let foundation: Foundation
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-foundation-'))
  metadata = await openQuickly({ path: join(folder, 'berth.db') })
  await metadata.audit.append([{ ...ROW, at: 0 }])
  foundation = await openFoundation({
    metadata,
    directory: folder,
    keepsData: true,
    audit: () => ({ keepMs: 3_600_000, keepRows: 10, file: undefined }),
    log: createLog({ level: 'error', formatter: 'text', fields: {}, now: Date.now, write: () => {} }),
    now: Date.now,
    newId: () => 'id',
  })
})
afterEach(async () => {
  await metadata.close()
  rmSync(folder, { recursive: true })
})

const rows = async (limit: number) => await metadata.audit.list({}, { limit })

/** Waits a while for so many rows; resolves to how many there are then. */
async function until(count: number): Promise<number> {
  let left = -1
  for (let i = 0; i < 500 && left !== count; i++) {
    await Bun.sleep(10)
    left = (await rows(30_000)).length
  }
  return left
}

test('rows that come in great number are pruned as they come', async () => {
  // The run at the start is over.
  await until(0)
  for (let i = 0; i < 20_000; i++) foundation.deps.record(ROW)
  const left = await until(10)
  await foundation.close()
  expect(left).toBe(10)
})

test('a failed login to the admin API is in the audit log', async () => {
  const api = foundation.api(() => ({
    login: async () => 'wrong-password',
    chain: undefined,
    server: undefined,
    own: { accounts: true, rules: true },
  }))
  const authorization = `Basic ${Buffer.from('ann:guess').toString('base64')}`
  const answer = await api?.(new Request('http://x/api/v1/users', { headers: { authorization } }), {
    address: '192.0.2.1',
  })
  await foundation.close()
  expect(answer?.status).toBe(401)
  expect(await rows(10)).toEqual([
    expect.objectContaining({
      kind: 'sign-in',
      account: 'ann',
      address: '192.0.2.1',
      asked: 'api',
      outcome: 'refused',
    }),
  ])
})
