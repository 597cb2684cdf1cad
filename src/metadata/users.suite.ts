import { beforeEach, describe, expect, test } from 'bun:test'
import { type Opened, token, user } from './examples.suite.ts'
import { expectPages, NAMES } from './lists.suite.ts'
import type { Metadata, UserRow } from './metadata.ts'

export function usersSuite(opened: () => Opened): void {
  describe('users', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const rows: [string, Partial<UserRow>][] = [
      ['an administrator', { admin: true }],
      ['one without a password', { passwordHash: undefined }],
      ['one that is disabled', { disabled: true }],
      ['one that a web sign-in made', { source: 'github', passwordHash: undefined }],
      ['one with labels', { labels: { team: ['a', 'b "c"', 'ä'], none: [], 'with.dot': [''] } }],
      ['one with a description', { description: 'of the build farm\nsecond line ö' }],
      [
        'a robot with rights of its own',
        { kind: 'robot', grants: [{ type: 'repository', name: 'team/**', actions: ['pull', 'push'] }] },
      ],
      ['a robot without any right', { kind: 'robot', grants: [] }],
    ]
    test.each(rows)('%s is found as it was put', async (_, more) => {
      await metadata.users.put(user('ann', more))
      expect(await metadata.users.find('ann')).toStrictEqual(user('ann', more))
      expect(await metadata.users.list({ limit: 10 })).toStrictEqual([user('ann', more)])
    })

    test('upper and lower case are different names', async () => {
      await metadata.users.put(user('ann'))
      expect(await metadata.users.find('Ann')).toBeUndefined()
    })

    test('putting one again changes everything but the time of its creation', async () => {
      const before = user('ann', { admin: true, grants: [], disabled: true, labels: { a: ['b'] }, description: 'x' })
      const after = user('ann', { kind: 'robot', source: 'oidc', passwordHash: undefined, updatedAt: 2000 })
      await metadata.users.put(before)
      await metadata.users.put({ ...after, createdAt: 2000 })
      expect(await metadata.users.find('ann')).toStrictEqual(after)
    })

    test('one that is changed keeps its groups and tokens', async () => {
      await metadata.users.put(user('ann'))
      await metadata.groups.put({ name: 'team', description: '', createdAt: 1 })
      await metadata.groups.join('team', 'ann')
      await metadata.tokens.add(token('one'))
      await metadata.users.put(user('ann', { disabled: true }))
      expect(await metadata.groups.of('ann')).toEqual(['team'])
      expect(await metadata.tokens.find('one')).toEqual(token('one'))
    })

    test('one is removed once', async () => {
      await metadata.users.put(user('ann'))
      expect(await metadata.users.remove('ann')).toBe(true)
      expect(await metadata.users.remove('ann')).toBe(false)
      expect(await metadata.users.find('ann')).toBeUndefined()
    })

    test('one that is removed takes its memberships along, and a new one of its name has none', async () => {
      await metadata.groups.put({ name: 'team', description: '', createdAt: 1 })
      for (const name of ['ann', 'bob']) {
        await metadata.users.put(user(name))
        await metadata.groups.join('team', name)
      }
      await metadata.users.remove('ann')
      expect(await metadata.groups.members('team', { limit: 10 })).toEqual(['bob'])
      await metadata.users.put(user('ann'))
      expect(await metadata.groups.of('ann')).toEqual([])
    })

    test('one that is removed takes its own tokens along, not those of another account or another source', async () => {
      await metadata.users.put(user('ann', { source: 'github' }))
      await metadata.tokens.add(token('berth'))
      await metadata.tokens.add(token('github', { source: 'github', kind: 'refresh' }))
      await metadata.tokens.add(token('ldap', { source: 'ldap' }))
      await metadata.tokens.add(token('bob', { account: 'bob' }))
      await metadata.users.remove('ann')
      expect((await metadata.tokens.list({}, { limit: 10 })).map(({ id }) => id)).toEqual(['bob', 'ldap'])
    })

    test('removing one that is not there ends no token', async () => {
      await metadata.tokens.add(token('one'))
      expect(await metadata.users.remove('ann')).toBe(false)
      expect(await metadata.tokens.find('one')).toEqual(token('one'))
    })

    test('are listed in the byte order of their UTF-8 text, page by page', async () => {
      // U+FF5E comes before U+1F600 in UTF-8, and after its surrogates in UTF-16.
      const names = [...NAMES, 'z', 'ä', '\uff5e', '\u{1f600}']
      for (const name of [...names].reverse()) await metadata.users.put(user(name))
      await expectPages(names, async (page) => (await metadata.users.list(page)).map(({ name }) => name))
    })

    test('of one kind come page by page too', async () => {
      for (const [index, name] of NAMES.entries()) {
        await metadata.users.put(user(name, { kind: index % 3 === 0 ? 'robot' : 'user' }))
      }
      for (const kind of ['robot', 'user'] as const) {
        const expected = NAMES.filter((_, index) => (index % 3 === 0) === (kind === 'robot'))
        const listed = async (limit: number, last?: string) =>
          (await metadata.users.list({ limit, last }, kind)).map(({ name }) => name)
        expect(await listed(100)).toEqual(expected)
        expect(await listed(5000)).toEqual(expected)
        expect(await listed(2, expected[0])).toEqual(expected.slice(1, 3))
      }
    })
  })
}
