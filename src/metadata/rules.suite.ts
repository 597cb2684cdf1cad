import { beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Opened, refusal } from './examples.suite.ts'
import type { Metadata, RuleRow } from './metadata.ts'

export function rulesSuite(opened: () => Opened): void {
  describe('rules', () => {
    const rule = (id: string, more: Partial<RuleRow> = {}): RuleRow => ({
      id,
      match: { account: id },
      actions: ['pull'],
      comment: '',
      ...more,
    })
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('begin with the catalog and all repositories for every user', async () => {
      expect(await metadata.rules.list()).toStrictEqual({
        revision: 1,
        rules: [
          {
            id: 'catalog',
            match: { account: '/.+/', type: 'registry', name: 'catalog' },
            actions: ['*'],
            comment: 'users may list the catalog',
          },
          {
            id: 'everyone',
            match: { account: '/.+/', type: 'repository' },
            actions: ['pull', 'push'],
            comment: 'users may pull and push everywhere',
          },
        ],
      })
    })

    test('that replace others are listed in their order, as they were given', async () => {
      const labels = { group: 'ä "b"', other: '' }
      const full = { account: '', type: 't', name: '/^a$/', service: 's', ip: '10.0.0.0/8', labels }
      const rules = [
        rule('z', { match: {}, actions: [], comment: 'nobody' }),
        rule('a', { match: full, actions: ['push', 'pull', '*'] }),
        rule('everyone'),
      ]
      expect(await metadata.rules.replace(1, rules)).toBe(true)
      expect(await metadata.rules.list()).toStrictEqual({ revision: 2, rules })
      expect(await metadata.rules.replace(2, [...rules].reverse())).toBe(true)
      expect(await metadata.rules.list()).toStrictEqual({ revision: 3, rules: [...rules].reverse() })
    })

    test('may be none, and the revision goes on', async () => {
      expect(await metadata.rules.replace(1, [])).toBe(true)
      expect(await metadata.rules.list()).toEqual({ revision: 2, rules: [] })
      expect(await metadata.rules.replace(2, [rule('a')])).toBe(true)
      expect(await metadata.rules.list()).toEqual({ revision: 3, rules: [rule('a')] })
    })

    test('may be more than one statement holds', async () => {
      const rules = Array.from({ length: 1234 }, (_, index) => rule(`rule ${index}`))
      expect(await metadata.rules.replace(1, rules)).toBe(true)
      expect((await metadata.rules.list()).rules).toEqual(rules)
    })

    test('two of one id are refused, and the list stays', async () => {
      const before = await metadata.rules.list()
      expect(await refusal(metadata.rules.replace(1, [rule('a'), rule('a')]))).toMatchObject({ name: 'MetadataError' })
      expect(await metadata.rules.list()).toEqual(before)
    })

    test('are replaced by exactly one of those that know the same revision', async () => {
      for (let revision = 1; revision < 6; revision++) {
        const lists = Array.from({ length: 5 }, (_, index) => [rule(`${revision} ${index}`)])
        const done = await Promise.all(lists.map((list) => metadata.rules.replace(revision, list)))
        expect(done.filter((is) => is)).toHaveLength(1)
        expect(await metadata.rules.list()).toEqual({
          revision: revision + 1,
          rules: lists[done.indexOf(true)] ?? [],
        })
      }
    })

    test('that another connection replaced are not replaced by who has not seen them', async () => {
      const { rules } = await metadata.rules.list()
      await opened().execute('UPDATE rule_list SET revision = revision + 1')
      expect(await metadata.rules.replace(1, [])).toBe(false)
      expect(await metadata.rules.list()).toEqual({ revision: 2, rules })
    })

    test('change only from the revision that they have, whatever is tried in whatever order', async () => {
      const change = fc.record({
        offset: fc.constantFrom(0, 0, 0, -1, 1, 100),
        ids: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(change, { maxLength: 6 }), async (changes) => {
          let model = await metadata.rules.list()
          for (const { offset, ids } of changes) {
            const rules = ids.map((id) => rule(id))
            expect(await metadata.rules.replace(model.revision + offset, rules)).toBe(offset === 0)
            if (offset === 0) model = { revision: model.revision + 1, rules }
            expect(await metadata.rules.list()).toEqual(model)
          }
        }),
        { numRuns: 20, seed: 20_260_101 },
      )
    })

    test('that are read while they are replaced come with their own revision', async () => {
      const seen: Promise<{ revision: number; rules: RuleRow[] }>[] = []
      for (let revision = 1; revision < 20; revision++) {
        const list = Array.from({ length: (revision + 1) % 4 }, (_, index) => rule(`${revision + 1} ${index}`))
        const replaced = metadata.rules.replace(revision, list)
        seen.push(metadata.rules.list())
        await replaced
        seen.push(metadata.rules.list())
      }
      for (const { revision, rules } of await Promise.all(seen)) {
        if (revision === 1) continue
        expect(rules.map(({ id }) => id)).toEqual(
          Array.from({ length: revision % 4 }, (_, index) => `${revision} ${index}`),
        )
      }
    })
  })
}
