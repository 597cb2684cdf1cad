import { beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Opened, refusal, token } from './examples.suite.ts'
import { expectPages, NAMES } from './lists.suite.ts'
import type { Metadata, TokenRow } from './metadata.ts'

export function tokensSuite(opened: () => Opened): void {
  describe('tokens', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const ids = async (filter: { account?: string; kind?: TokenRow['kind'] } = {}) =>
      (await metadata.tokens.list(filter, { limit: 100 })).map(({ id }) => id)

    const rows: [string, TokenRow][] = [
      ['one that may do all and never ends', token('one')],
      [
        'one with limits, an end and a stamp',
        token('one', {
          kind: 'refresh',
          source: 'ldap',
          account: 'ä "b"',
          limits: [{ type: 'repository', name: 'team/**', actions: ['pull'] }],
          stamp: 'stamp',
          expiresAt: 2 ** 45,
        }),
      ],
      ['one that may do nothing', token('one', { limits: [] })],
      ['one that was used', token('one', { lastUsedAt: 5, lastUsedFrom: '::1' })],
      ['one of no stamp at all and one of an empty stamp are two things', token('one', { stamp: '' })],
      ['one that ended when time began', token('one', { expiresAt: 0 })],
    ]
    test.each(rows)('%s is found as it was added', async (_, row) => {
      await metadata.tokens.add(row)
      expect(await metadata.tokens.find('one')).toStrictEqual(row)
      expect(await metadata.tokens.findByHash('hash-of-one')).toStrictEqual(row)
      expect(await metadata.tokens.list({}, { limit: 10 })).toStrictEqual([row])
    })

    test('what is not there is not found', async () => {
      await metadata.tokens.add(token('one'))
      expect(await metadata.tokens.find('hash-of-one')).toBeUndefined()
      expect(await metadata.tokens.findByHash('one')).toBeUndefined()
      expect(await metadata.tokens.findByHash('HASH-OF-ONE')).toBeUndefined()
    })

    test.each([
      ['an id', token('one', { hash: 'another' })],
      ['a hash', token('two', { hash: 'hash-of-one' })],
    ])('%s is taken once', async (_, row) => {
      await metadata.tokens.add(token('one'))
      expect(await refusal(metadata.tokens.add(row))).toMatchObject({ name: 'MetadataError', fault: 'failed' })
      expect(await metadata.tokens.list({}, { limit: 10 })).toEqual([token('one')])
    })

    test('are listed in the order of their ids, page by page, under every filter', async () => {
      const all = NAMES.map((id, index) =>
        token(id, { account: index % 2 === 0 ? 'ann' : 'bob', kind: index % 3 === 0 ? 'refresh' : 'personal' }),
      )
      for (const row of [...all].reverse()) await metadata.tokens.add(row)
      const filters: [Partial<TokenRow>, (row: TokenRow) => boolean][] = [
        [{}, () => true],
        [{ account: 'ann' }, ({ account }) => account === 'ann'],
        [{ kind: 'refresh' }, ({ kind }) => kind === 'refresh'],
        [{ account: 'bob', kind: 'personal' }, (row) => row.account === 'bob' && row.kind === 'personal'],
      ]
      for (const [filter, fits] of filters) {
        const expected = all.filter(fits).map(({ id }) => id)
        expect(expected.length).toBeGreaterThan(2)
        await expectPages(expected, async (page) => (await metadata.tokens.list(filter, page)).map(({ id }) => id))
      }
      expect(await ids({ account: 'nobody' })).toEqual([])
    })

    test('uses are recorded, and those of tokens that are gone are no error', async () => {
      await metadata.tokens.add(token('one'))
      await metadata.tokens.add(token('two'))
      await metadata.tokens.add(token('three'))
      await metadata.tokens.touch([
        { id: 'one', at: 5, from: '10.0.0.1' },
        { id: 'gone', at: 6, from: '10.0.0.2' },
        { id: 'two', at: 7, from: undefined },
      ])
      await metadata.tokens.touch([])
      expect(await metadata.tokens.find('one')).toStrictEqual(token('one', { lastUsedAt: 5, lastUsedFrom: '10.0.0.1' }))
      expect(await metadata.tokens.find('two')).toStrictEqual(token('two', { lastUsedAt: 7 }))
      expect(await metadata.tokens.find('three')).toStrictEqual(token('three'))
      expect(await ids()).toEqual(['one', 'three', 'two'])
    })

    test('of several uses the latest is kept, in whatever order they come', async () => {
      await metadata.tokens.add(token('one'))
      await metadata.tokens.touch([
        { id: 'one', at: 9, from: 'b' },
        { id: 'one', at: 3, from: 'a' },
      ])
      expect(await metadata.tokens.find('one')).toMatchObject({ lastUsedAt: 9, lastUsedFrom: 'b' })
      await metadata.tokens.touch([{ id: 'one', at: 8, from: 'c' }])
      expect(await metadata.tokens.find('one')).toMatchObject({ lastUsedAt: 9, lastUsedFrom: 'b' })
      await metadata.tokens.touch([{ id: 'one', at: 10, from: undefined }])
      expect(await metadata.tokens.find('one')).toStrictEqual(token('one', { lastUsedAt: 10 }))
    })

    test('one is removed once', async () => {
      await metadata.tokens.add(token('one'))
      await metadata.tokens.add(token('two'))
      expect(await metadata.tokens.remove('one')).toBe(true)
      expect(await metadata.tokens.remove('one')).toBe(false)
      expect(await metadata.tokens.findByHash('hash-of-one')).toBeUndefined()
      expect(await ids()).toEqual(['two'])
    })

    const removals: [string, Parameters<Metadata['tokens']['removeAll']>[0], string[]][] = [
      ['of an account', { account: 'ann' }, ['bp', 'br', 'lp', 'lr']],
      ['of an account and a source', { account: 'ann', source: 'berth' }, ['bp', 'br']],
      ['of an account and a kind', { account: 'ann', kind: 'refresh' }, ['br', 'lr']],
      ['of an account, a source and a kind', { account: 'ann', source: 'ldap', kind: 'personal' }, ['lp']],
      ['of an account of which there are none', { account: 'nobody' }, []],
    ]
    test.each(removals)('all %s are removed, and no other', async (_, filter, removed) => {
      const all = ['bp', 'br', 'lp', 'lr']
      for (const id of all) {
        const source = id.startsWith('b') ? 'berth' : 'ldap'
        const kind = id.endsWith('p') ? 'personal' : 'refresh'
        await metadata.tokens.add(token(id, { source, kind }))
        await metadata.tokens.add(token(`of bob ${id}`, { source, kind, account: 'bob' }))
      }
      expect(await metadata.tokens.removeAll(filter)).toBe(removed.length)
      expect(await ids({ account: 'ann' })).toEqual(all.filter((id) => !removed.includes(id)))
      expect(await ids({ account: 'bob' })).toHaveLength(4)
    })

    test('those that ended before a time expire, the earliest first, and as many as may', async () => {
      const end = fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined })
      const limits = fc.integer({ min: 0, max: 6 })
      await fc.assert(
        fc.asyncProperty(
          fc.array(end, { maxLength: 8 }),
          fc.integer({ min: 0, max: 5 }),
          limits,
          async (ends, before, limit) => {
            for (const [index, expiresAt] of ends.entries())
              await metadata.tokens.add(token(`t${index}`, { expiresAt }))
            const gone = ends
              .map((expiresAt, index) => ({ id: `t${index}`, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY }))
              .filter(({ expiresAt }) => expiresAt < before)
              .sort((a, b) => a.expiresAt - b.expiresAt || (a.id < b.id ? -1 : 1))
              .slice(0, limit)
              .map(({ id }) => id)
            const removed = await metadata.tokens.expire(before, limit)
            const left = await ids()
            await metadata.tokens.removeAll({ account: 'ann' })
            expect(removed).toBe(gone.length)
            expect(left).toEqual(ends.map((_, index) => `t${index}`).filter((id) => !gone.includes(id)))
          },
        ),
        { numRuns: 40, seed: 20_260_101 },
      )
    })
  })
}
