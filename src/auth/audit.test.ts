import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { AuditRow } from '../metadata/metadata.ts'
import { type AuditLogOptions, createAuditLog } from './audit.ts'

const NOW = Date.parse('2026-03-01T00:00:00Z')

function row(changes: Partial<AuditRow> = {}): AuditRow {
  return {
    at: NOW,
    kind: 'token',
    account: 'ann',
    source: 'static',
    address: '192.0.2.1',
    service: 'reg',
    asked: 'repository:x:pull',
    granted: 'repository:x:pull',
    rules: 'a.yml:1',
    outcome: 'granted',
    detail: '',
    ...changes,
  }
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => row({ account: `${from + i}` }))

/** A database that can fail or take its time; every row that it has is in `written`. */
function setup(options: Partial<AuditLogOptions> = {}) {
  const written: AuditRow[] = []
  const portions: number[] = []
  const warnings: [string, Record<string, unknown>][] = []
  const database = { down: false, active: 0, most: 0 }
  const log = createAuditLog({
    async append(rows) {
      database.active++
      database.most = Math.max(database.most, database.active)
      await Promise.resolve()
      database.active--
      portions.push(rows.length)
      if (database.down) throw new Error('disk full')
      written.push(...rows)
    },
    now: () => NOW,
    flushMs: 3_600_000,
    warn: (message, fields) => warnings.push([message, fields]),
    ...options,
  })
  return { log, written, portions, warnings, database }
}

describe('audit records', () => {
  test('are written in order, in portions of 1,000, one after the other', async () => {
    const { log, written, portions, database } = setup()
    const rows = numbered(2500)
    for (const one of rows) log.record(one)
    await Promise.all([log.flush(), log.flush()])
    expect(written).toEqual(rows)
    expect(portions).toEqual([1000, 1000, 500])
    expect(database.most).toBe(1)
  })

  test('are written without being asked: 1,000 at once, and fewer soon', async () => {
    const full = setup()
    for (const one of numbered(1000)) full.log.record(one)
    for (let i = 0; i < 100 && full.written.length === 0; i++) await Promise.resolve()
    expect(full.written).toHaveLength(1000)
    const few = setup({ flushMs: 1 })
    few.log.record(row())
    for (let i = 0; i < 500 && few.written.length === 0; i++) await Bun.sleep(10)
    expect(few.written).toEqual([row()])
  })

  test('are all there after the close', async () => {
    const { log, written, warnings } = setup()
    for (const one of numbered(3)) log.record(one)
    await log.close()
    expect(written).toEqual(numbered(3))
    log.record(row())
    await log.flush()
    expect([written.length, warnings]).toEqual([3, []])
  })

  test('have bounded texts, which any database takes', async () => {
    const { log, written } = setup()
    log.record(row({ account: 'x'.repeat(5000), asked: `${'y'.repeat(1999)}😀`, detail: 'a\0b\ud800' }))
    await log.flush()
    expect(written).toEqual([
      row({ account: 'x'.repeat(256), asked: `${'y'.repeat(1999)}\ufffd`, detail: 'a\ufffdb\ufffd' }),
    ])
  })

  test('are one line of JSON each, without any control character', () => {
    const lines: string[] = []
    const { log } = setup({ line: (json) => lines.push(json) })
    log.record(row({ account: 'a\n"\u001b[2J\u009b1m\u2028\u007f' }))
    expect(lines).toEqual([
      '{"time":"2026-03-01T00:00:00.000Z","kind":"token","account":"a\\n\\"\\u001b[2J\\u009b1m\\u2028\\u007f",' +
        '"source":"static","address":"192.0.2.1","service":"reg","asked":"repository:x:pull",' +
        '"granted":"repository:x:pull","rules":"a.yml:1","outcome":"granted","detail":""}',
    ])
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (detail) => {
        log.record(row({ detail }))
        const last = lines.at(-1) ?? ''
        expect(/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(last)).toBe(false)
        expect(JSON.parse(last).detail).toBe(detail.toWellFormed().replaceAll('\0', '\ufffd').slice(0, 2000))
      }),
      { seed: 20_260_101 },
    )
  })
})

describe('of strangers', () => {
  const refusal = (changes: Partial<AuditRow> = {}) =>
    row({ account: '', source: '', granted: '', rules: '', outcome: 'refused', detail: 'Auth failed.', ...changes })
  const since = '2026-03-01T00:00:00.000Z'
  const sum = (detail: string, changes: Partial<AuditRow> = {}) =>
    refusal({ address: '', service: '', asked: '', detail, ...changes })

  test('so many of one address are kept, and one more in ten seconds; a row says how many were not', async () => {
    const clock = { time: NOW }
    const lines: string[] = []
    const kept: AuditRow[] = []
    const { log, written } = setup({
      now: () => clock.time,
      line: (json) => lines.push(json),
      kept: (one) => kept.push(one),
    })
    for (let i = 0; i < 5000; i++) log.record(refusal())
    clock.time += 10_000
    for (let i = 0; i < 5000; i++) log.record(refusal({ at: clock.time }))
    await log.close()
    expect(written).toEqual([
      ...Array.from({ length: 60 }, () => refusal()),
      refusal({ at: clock.time }),
      sum(`9939 more since ${since}, which are not kept one by one, from 192.0.2.1`, { at: clock.time }),
    ])
    expect(lines).toHaveLength(written.length)
    expect(kept).toEqual(written)
  })

  test('many addresses have a bound together, and a /64 is one', async () => {
    const { log, written } = setup()
    for (let i = 0; i < 100; i++) log.record(refusal({ address: `2001:db8::${i.toString(16)}` }))
    for (let i = 0; i < 5000; i++) log.record(refusal({ address: `10.0.${i >> 8}.${i & 255}` }))
    await log.close()
    expect(written.filter(({ address }) => address.startsWith('2001:'))).toHaveLength(60)
    expect(written).toHaveLength(600 + 1)
    expect(written.at(-1)).toEqual(
      sum(
        `4500 more since ${since}, which are not kept one by one, ` +
          'from 1000 or more addresses, 40 of them from 2001:0db8:0000:0000::/64',
      ),
    )
  })

  test('the sum comes by itself', async () => {
    const { log, written } = setup({ sumMs: 1, flushMs: 1 })
    for (let i = 0; i < 61; i++) log.record(refusal())
    for (let i = 0; i < 500 && written.length < 61; i++) await Bun.sleep(10)
    expect(written.at(-1)?.detail).toStartWith('1 more since')
    log.record(refusal())
    await log.close()
    expect(written.slice(61).map(({ detail }) => detail.slice(0, 12))).toEqual(['1 more since'])
  })

  const others: [string, Partial<AuditRow>][] = [
    ['a wrong password for a name', { account: 'ann', source: '', outcome: 'refused' }],
    ['a failed sign-in', { account: '', source: 'github', kind: 'sign-in', outcome: 'failed' }],
    ['a token for somebody known', { account: 'ann', source: 'static' }],
  ]
  test.each(others)('requests without a name do not hide %s', async (_, changes) => {
    const { log, written } = setup()
    for (let i = 0; i < 5000; i++) log.record(refusal({ address: `10.0.${i >> 8}.${i & 255}` }))
    log.record(row({ address: '10.0.0.1', ...changes }))
    await log.flush()
    expect(written.at(-1)).toEqual(row({ address: '10.0.0.1', ...changes }))
  })

  const rationed: [string, Partial<AuditRow>, number][] = [
    ['a wrong password', { account: 'ann', source: '', outcome: 'refused' }, 61],
    ['a pull without a name', { account: '', source: '', outcome: 'granted' }, 61],
    ['a failed sign-in', { account: '', source: 'github', kind: 'sign-in', outcome: 'failed' }, 61],
    ['a refused sign-in', { account: 'eve', source: 'github', kind: 'sign-in', outcome: 'refused' }, 61],
    ['a sign-in', { account: 'ann', source: 'github', kind: 'sign-in', outcome: 'done' }, 1000],
    ['a token for somebody known', { account: 'ann', source: 'static', outcome: 'denied' }, 1000],
    ['a change', { account: 'ann', source: '', kind: 'change', outcome: 'failed' }, 1000],
  ]
  test.each(rationed)('of 1,000 times %s the rows are few only where nobody is known', async (_, changes, rows) => {
    const { log, written } = setup()
    for (let i = 0; i < 1000; i++) log.record(row(changes))
    await log.close()
    expect(written).toHaveLength(rows)
  })

  test('have short texts', async () => {
    const { log, written } = setup()
    const long = '字'.repeat(5000)
    log.record(refusal({ account: long, service: long, asked: long, detail: long }))
    await log.flush()
    const short = '字'.repeat(256)
    expect(written).toEqual([refusal({ account: short, service: short, asked: short, detail: short })])
  })
})

describe('while the database takes none', () => {
  test('records wait, with one warning, and the lines go on', async () => {
    const lines: string[] = []
    const { log, written, warnings, database } = setup({ line: (json) => lines.push(json) })
    database.down = true
    const rows = numbered(1500)
    for (const one of rows.slice(0, 10)) log.record(one)
    await log.flush()
    for (const one of rows.slice(10)) log.record(one)
    await log.flush()
    await log.flush()
    expect([written, lines.length]).toEqual([[], 1500])
    expect(warnings.map(([message]) => message)).toEqual(['audit records wait, for they cannot be written'])
    database.down = false
    await log.flush()
    expect(written).toEqual(rows)
    expect(warnings[1]).toEqual(['audit records are written again', { lost: 0 }])
    database.down = true
    log.record(row())
    await log.flush()
    expect(warnings).toHaveLength(3)
  })

  test('it is not asked again for each record', async () => {
    const { log, portions, database } = setup()
    database.down = true
    for (const one of numbered(1000)) log.record(one)
    await log.flush()
    const asked = portions.length
    for (const one of numbered(5000)) log.record(one)
    for (let i = 0; i < 100; i++) await Promise.resolve()
    expect(portions).toHaveLength(asked)
  })

  test('those past the bound are counted, and a row says how many', async () => {
    const { log, written, database } = setup({ maxWaiting: 50 })
    database.down = true
    for (const one of numbered(60)) log.record(one)
    await log.flush()
    database.down = false
    await log.flush()
    log.record(row({ account: 'later' }))
    await log.flush()
    expect(written.slice(0, 50)).toEqual(numbered(50))
    expect(written.slice(50)).toEqual([
      expect.objectContaining({ at: NOW, kind: 'change', outcome: 'failed', account: '', asked: 'audit' }),
      row({ account: 'later' }),
    ])
    expect(written[50]?.detail).toStartWith('10 audit records before this one are lost')
  })

  test('the bound is one of characters, too, and gives back what was written', async () => {
    const { log, written, warnings, database } = setup({ maxCharacters: 10_000 })
    const long = (account: string) => row({ account, asked: 'x'.repeat(1900) })
    for (let round = 0; round < 3; round++) {
      database.down = true
      for (let i = 0; i < 20; i++) log.record(long(`${round}`))
      await log.flush()
      database.down = false
      await log.flush()
    }
    await log.close()
    expect(
      written
        .filter(({ asked }) => asked !== 'audit')
        .map(({ account }) => account)
        .join(''),
    ).toBe('000001111122222')
    expect(warnings.at(-1)).toEqual(['audit records are written again', { lost: 15 }])
  })

  test('what is left at the close is told', async () => {
    const { log, warnings, database } = setup({ maxWaiting: 5 })
    database.down = true
    for (const one of numbered(8)) log.record(one)
    await log.close()
    expect(warnings.at(-1)).toEqual(['audit records were lost, for they could not be written', { lost: 8 }])
  })

  test('nothing is lost or written twice, whatever happens when', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('record' as const), count: fc.integer({ min: 1, max: 1200 }) }),
      fc.record({ kind: fc.constantFrom('flush' as const, 'down' as const, 'up' as const, 'breathe' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { log, written, database } = setup({ maxWaiting: 100_000 })
        let recorded = 0
        for (const one of steps) {
          if (one.kind === 'record') {
            for (const record of numbered(one.count, recorded)) log.record(record)
            recorded += one.count
          } else if (one.kind === 'flush') void log.flush()
          else if (one.kind === 'breathe') await Promise.resolve()
          else database.down = one.kind === 'down'
        }
        database.down = false
        await log.close()
        expect(written.map(({ account }) => account)).toEqual(Array.from({ length: recorded }, (_, i) => `${i}`))
        expect(database.most).toBeLessThanOrEqual(1)
      }),
      { numRuns: 60, seed: 20_260_101 },
    )
  })
})
