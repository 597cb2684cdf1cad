import { beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Opened } from './examples.suite.ts'
import type { AuditRow, Metadata } from './metadata.ts'

export function event(row: Partial<AuditRow> = {}): AuditRow {
  return {
    at: 1000,
    kind: 'token',
    account: 'ann',
    source: 'berth',
    address: '10.0.0.1',
    service: 'registry.example',
    asked: 'repository:team/app:pull,push',
    granted: 'repository:team/app:pull',
    rules: 'everyone',
    outcome: 'partial',
    detail: '',
    ...row,
  }
}

export function auditSuite(opened: () => Opened): void {
  describe('the audit log', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const details = async (
      filter: Parameters<Metadata['audit']['list']>[0] = {},
      page: Parameters<Metadata['audit']['list']>[1] = { limit: 5000 },
    ) => (await metadata.audit.list(filter, page)).map(({ detail }) => detail)
    const numbered = (count: number, more: (index: number) => Partial<AuditRow> = () => ({})) =>
      Array.from({ length: count }, (_, index) => event({ detail: `${index}`, ...more(index) }))
    const newestFirst = (rows: readonly AuditRow[]) => rows.map(({ detail }) => detail).reverse()

    test('holds rows as they were, under ids that grow', async () => {
      const plain = event()
      const empty = event({
        at: 2 ** 45,
        kind: 'change',
        account: '',
        source: '',
        address: '',
        service: '',
        asked: '',
        granted: '',
        rules: '',
        outcome: 'done',
        detail: 'ä "quoted"\nsecond line',
      })
      await metadata.audit.append([plain, empty])
      const [second, first] = await metadata.audit.list({}, { limit: 10 })
      expect(first).toStrictEqual({ ...plain, id: first?.id ?? 0 })
      expect(second).toStrictEqual({ ...empty, id: second?.id ?? 0 })
      expect(second?.id).toBeGreaterThan(first?.id ?? Number.POSITIVE_INFINITY)
    })

    test.each([0, 1, 2, 63, 64, 65, 127, 191, 1000, 4097])('takes %d rows at once, in their order', async (count) => {
      const rows = numbered(count)
      await metadata.audit.append(rows)
      expect(await details()).toEqual(newestFirst(rows))
    })

    test('keeps the order of appends that come one after the other without waiting', async () => {
      const rows = numbered(300)
      const parts = [rows.slice(0, 100), rows.slice(100, 101), rows.slice(101)]
      await Promise.all(parts.map((part) => metadata.audit.append(part)))
      expect(await details()).toEqual(newestFirst(rows))
    })

    const filters: [string, Parameters<Metadata['audit']['list']>[0]][] = [
      ['all of it', {}],
      ['of an account', { account: 'bob' }],
      ['without credentials', { account: '' }],
      ['of a kind', { kind: 'sign-in' }],
      ['of an outcome', { outcome: 'denied' }],
      ['of a kind and an outcome', { kind: 'token', outcome: 'granted' }],
      ['of an account and a kind', { account: 'bob', kind: 'token' }],
      ['of an account and an outcome', { account: 'bob', outcome: 'granted' }],
      ['of an account, a kind and an outcome', { account: 'bob', kind: 'sign-in', outcome: 'denied' }],
    ]
    test.each(filters)('is listed newest first, page by page: %s', async (_, filter) => {
      const rows = numbered(60, (index) => ({
        account: ['ann', 'bob', '', 'bob', 'eve'][index % 5] ?? '',
        kind: index % 3 === 0 ? 'sign-in' : 'token',
        outcome: index % 2 === 0 ? 'granted' : 'denied',
      }))
      await metadata.audit.append(rows)
      const fits = (row: AuditRow) =>
        (filter.account ?? row.account) === row.account &&
        (filter.kind ?? row.kind) === row.kind &&
        (filter.outcome ?? row.outcome) === row.outcome
      const expected = newestFirst(rows.filter(fits))
      expect(expected.length).toBeGreaterThan(3)
      for (const limit of [1, 3, expected.length - 1, expected.length, expected.length + 1, 5000]) {
        const pages: string[] = []
        let before: number | undefined
        for (let turn = 0; turn <= expected.length; turn++) {
          const page = await metadata.audit.list(filter, { before, limit })
          pages.push(...page.map(({ detail }) => detail))
          if (page.length < limit) break
          before = page.at(-1)?.id
        }
        expect(pages).toEqual(expected)
      }
      expect(await details(filter, { limit: 0 })).toEqual([])
    })

    test('of a filter that nothing fits is empty', async () => {
      await metadata.audit.append(numbered(3))
      expect(await details({ account: 'nobody' })).toEqual([])
      expect(await details({ account: 'ann', outcome: 'failed' })).toEqual([])
      expect(await details({}, { before: 0, limit: 10 })).toEqual([])
    })

    test('loses what is too old or too much, in portions, and nothing else', async () => {
      const times = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 })
      const before = fc.integer({ min: 0, max: 6 })
      const keep = fc.integer({ min: 0, max: 13 })
      await fc.assert(
        fc.asyncProperty(times, before, keep, fc.integer({ min: 1, max: 5 }), async (ats, before, keep, limit) => {
          const rows = numbered(ats.length, (index) => ({ at: ats[index] ?? 0 }))
          await metadata.audit.append(rows)
          const kept = rows.slice(keep === 0 ? rows.length : -keep).filter(({ at }) => at >= before)
          const portions: number[] = []
          for (let turn = 0; turn <= rows.length; turn++) {
            const removed = await metadata.audit.prune(before, keep, limit)
            portions.push(removed)
            if (removed < limit) break
          }
          const left = await details()
          await metadata.audit.prune(0, 0, 1000)
          const gone = rows.length - kept.length
          expect(left).toEqual(newestFirst(kept))
          expect(portions).toEqual([...Array<number>(Math.floor(gone / limit)).fill(limit), gone % limit])
        }),
        { numRuns: 40, seed: 20_260_101 },
      )
    })

    test('loses nothing to a portion of none', async () => {
      await metadata.audit.append(numbered(3))
      expect(await metadata.audit.prune(5000, 0, 0)).toBe(0)
      expect(await details()).toHaveLength(3)
    })
  })
}
