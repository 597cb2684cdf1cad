import { beforeEach, describe, expect, test } from 'bun:test'
import { type Opened, user } from './examples.suite.ts'
import { expectPages, NAMES } from './lists.suite.ts'
import type { GroupRow, Metadata } from './metadata.ts'

export function groupsSuite(opened: () => Opened): void {
  describe('groups', () => {
    const group = (name: string, more: Partial<GroupRow> = {}): GroupRow => ({
      name,
      description: 'who builds',
      createdAt: 1000,
      ...more,
    })
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('one that was put is found', async () => {
      await metadata.groups.put(group('team'))
      expect(await metadata.groups.find('team')).toEqual(group('team'))
      expect(await metadata.groups.find('Team')).toBeUndefined()
    })

    test('putting one again changes its description alone, and its members stay', async () => {
      await metadata.users.put(user('ann'))
      await metadata.groups.put(group('team'))
      await metadata.groups.join('team', 'ann')
      await metadata.groups.put(group('team', { description: '', createdAt: 2000 }))
      expect(await metadata.groups.find('team')).toEqual(group('team', { description: '' }))
      expect(await metadata.groups.of('ann')).toEqual(['team'])
    })

    test('are listed in byte order, page by page', async () => {
      for (const name of [...NAMES].reverse()) await metadata.groups.put(group(name))
      await expectPages(NAMES, async (page) => (await metadata.groups.list(page)).map(({ name }) => name))
    })

    test('members are listed in byte order, page by page, those of that group alone', async () => {
      await metadata.groups.put(group('team'))
      await metadata.groups.put(group('other'))
      for (const name of [...NAMES].reverse()) {
        await metadata.users.put(user(name))
        expect(await metadata.groups.join('team', name)).toBe('joined')
      }
      await metadata.users.put(user('zoe'))
      await metadata.groups.join('other', 'zoe')
      await expectPages(NAMES, (page) => metadata.groups.members('team', page))
      expect(await metadata.groups.members('none', { limit: 10 })).toEqual([])
    })

    test('of a user are all that it joined, in byte order', async () => {
      await metadata.users.put(user('ann'))
      await metadata.users.put(user('bob'))
      for (const name of [...NAMES].reverse()) {
        await metadata.groups.put(group(name))
        await metadata.groups.join(name, 'ann')
      }
      await metadata.groups.join('a', 'bob')
      expect(await metadata.groups.of('ann')).toEqual(NAMES)
      expect(await metadata.groups.of('bob')).toEqual(['a'])
      expect(await metadata.groups.of('nobody')).toEqual([])
    })

    const joins: [string, string, string, 'joined' | 'no-group' | 'no-user'][] = [
      ['a user that exists joins a group that exists', 'team', 'ann', 'joined'],
      ['a robot joins a group', 'team', 'robot', 'joined'],
      ['a group that does not exist is joined by nobody', 'none', 'ann', 'no-group'],
      ['a user that does not exist joins nothing', 'team', 'nobody', 'no-user'],
      ['where both are missing the group is told', 'none', 'nobody', 'no-group'],
    ]
    test.each(joins)('%s', async (_, name, account, expected) => {
      await metadata.groups.put(group('team'))
      await metadata.users.put(user('ann'))
      await metadata.users.put(user('robot', { kind: 'robot', grants: [] }))
      expect(await metadata.groups.join(name, account)).toBe(expected)
      expect(await metadata.groups.of(account)).toEqual(expected === 'joined' ? [name] : [])
      expect(await metadata.groups.find('none')).toBeUndefined()
      expect(await metadata.users.find('nobody')).toBeUndefined()
    })

    test('joining twice is joining once, and leaving tells whether it was a member', async () => {
      await metadata.groups.put(group('team'))
      await metadata.users.put(user('ann'))
      expect(await metadata.groups.join('team', 'ann')).toBe('joined')
      expect(await metadata.groups.join('team', 'ann')).toBe('joined')
      expect(await metadata.groups.members('team', { limit: 10 })).toEqual(['ann'])
      expect(await metadata.groups.leave('team', 'ann')).toBe(true)
      expect(await metadata.groups.leave('team', 'ann')).toBe(false)
      expect(await metadata.groups.leave('none', 'ann')).toBe(false)
      expect(await metadata.groups.of('ann')).toEqual([])
    })

    test('leaving one group is leaving no other, and takes nobody along', async () => {
      for (const name of ['a', 'b']) await metadata.groups.put(group(name))
      for (const account of ['ann', 'bob']) {
        await metadata.users.put(user(account))
        for (const name of ['a', 'b']) await metadata.groups.join(name, account)
      }
      await metadata.groups.leave('a', 'ann')
      expect(await metadata.groups.of('ann')).toEqual(['b'])
      expect(await metadata.groups.of('bob')).toEqual(['a', 'b'])
    })

    test('one is removed once, with its memberships and none of its members', async () => {
      await metadata.users.put(user('ann'))
      for (const name of ['a', 'b']) {
        await metadata.groups.put(group(name))
        await metadata.groups.join(name, 'ann')
      }
      expect(await metadata.groups.remove('a')).toBe(true)
      expect(await metadata.groups.remove('a')).toBe(false)
      expect(await metadata.groups.find('a')).toBeUndefined()
      expect(await metadata.groups.of('ann')).toEqual(['b'])
      expect(await metadata.users.find('ann')).toEqual(user('ann'))
      await metadata.groups.put(group('a'))
      expect(await metadata.groups.members('a', { limit: 10 })).toEqual([])
    })

    test('a join beside the removal of its user or group leaves no member of nothing', async () => {
      for (let round = 0; round < 10; round++) {
        await metadata.groups.put(group('team'))
        await metadata.users.put(user('ann'))
        const gone = round % 2 === 0 ? metadata.users.remove('ann') : metadata.groups.remove('team')
        const [joined] = await Promise.all([metadata.groups.join('team', 'ann'), gone])
        expect(['joined', 'no-group', 'no-user']).toContain(joined)
        expect(await metadata.groups.members('team', { limit: 10 })).toEqual([])
        expect(await metadata.groups.of('ann')).toEqual([])
      }
    })
  })
}
