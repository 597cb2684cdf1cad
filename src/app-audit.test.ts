import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAudit } from './app-audit.ts'
import type { AuditRow } from './metadata/metadata.ts'

const NOW = Date.parse('2026-03-01T00:00:00Z')

const denial = (changes: Partial<AuditRow> = {}): AuditRow => ({
  at: NOW,
  kind: 'token',
  account: 'ann',
  source: 'static',
  address: '192.0.2.1',
  service: 'reg',
  asked: 'repository:x:push',
  granted: 'repository:x:',
  rules: '',
  outcome: 'denied',
  detail: '',
  ...changes,
})
const refusal = (changes: Partial<AuditRow> = {}) =>
  denial({ account: '', source: '', granted: '', outcome: 'refused', detail: 'Auth failed.', ...changes })

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-trail-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function setup() {
  const told: [string, Record<string, unknown> | undefined][] = []
  const rows: AuditRow[] = []
  const appended: number[] = []
  const clock = { time: NOW }
  const say = (message: string, fields?: Record<string, unknown>) => void told.push([message, fields])
  const trail = await openAudit(
    { keepMs: 0, keepRows: 0, file: undefined },
    {
      metadata: {
        audit: {
          append: async (more) => void rows.push(...more),
          list: () => Promise.reject(new Error('nobody asks')),
          prune: () => Promise.reject(new Error('nobody asks')),
        },
      },
      directory: folder,
      log: { info: say, warn: say, error: say },
      now: () => clock.time,
      appended: (count) => appended.push(count),
    },
  )
  return { trail, told, rows, appended, clock, lines: () => readFileSync(join(folder, 'audit.log'), 'utf8') }
}

describe('a flood', () => {
  test('of strangers is a few rows, lines and words of the log, and one sum in each', async () => {
    const { trail, told, rows, appended, lines } = await setup()
    for (let i = 0; i < 5000; i++) trail.record(refusal({ asked: '字'.repeat(2000), service: '字'.repeat(2000) }))
    await trail.close()
    expect(rows).toHaveLength(61)
    expect(appended).toEqual([61])
    expect(lines().trimEnd().split('\n')).toHaveLength(61)
    expect(told).toHaveLength(61)
    expect(told.at(-1)).toEqual([
      'token refused',
      { reason: '4940 more since 2026-03-01T00:00:00.000Z, which are not kept one by one, from 192.0.2.1' },
    ])
    expect(Buffer.byteLength(JSON.stringify([rows, told]) + lines())).toBeLessThan(61 * 3 * 2000)
  })

  test('of somebody who is known has each row, and the log says how many it left out', async () => {
    const { trail, told, rows, clock } = await setup()
    for (let i = 0; i < 1000; i++) trail.record(denial())
    trail.record(denial({ account: 'bob' }))
    clock.time += 10_000
    trail.record(denial())
    await trail.close()
    expect(rows).toHaveLength(1002)
    expect(told).toHaveLength(62)
    const fields = { account: 'ann', address: '192.0.2.1', service: 'reg', asked: 'repository:x:push' }
    expect(told[0]).toEqual(['token denied', fields])
    expect(told[60]).toEqual(['token denied', { ...fields, account: 'bob', untold: 940 }])
    expect(told[61]).toEqual(['token denied', fields])
  })

  test('of many who are known has a bound in the log', async () => {
    const { trail, told } = await setup()
    for (let i = 0; i < 2000; i++) trail.record(denial({ account: `user ${i}` }))
    await trail.close()
    expect(told).toHaveLength(600)
  })
})

test('the log has the beginning of long texts, the row has more', async () => {
  const { trail, told, rows } = await setup()
  trail.record(denial({ asked: `${'x'.repeat(255)}😀${'y'.repeat(500)}` }))
  await trail.close()
  expect(told[0]?.[1]?.asked).toBe(`${'x'.repeat(255)}\ufffd`)
  expect(rows[0]?.asked).toHaveLength(757)
})

test('what was granted is not in the log', async () => {
  const { trail, told, rows } = await setup()
  trail.record(denial({ outcome: 'granted' }))
  trail.record(denial({ outcome: 'partial' }))
  await trail.close()
  expect([told, rows.length]).toEqual([[], 2])
})
