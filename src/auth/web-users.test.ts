import { expect, test } from 'bun:test'
import type { UserRow } from '../metadata/metadata.ts'
import { UnavailableError } from './authenticator.ts'
import { createWebUsers } from './web-users.ts'

const row: UserRow = {
  ...{ name: 'ann', kind: 'user', source: 'github', passwordHash: undefined, admin: false, disabled: false },
  ...{ labels: { teams: ['dev'] }, grants: undefined, description: '', createdAt: 0, updatedAt: 0 },
}

function sourceOf(found: UserRow | undefined | Error) {
  const spent: string[] = []
  const source = createWebUsers({
    kind: 'github',
    users: {
      find: async () => {
        if (found instanceof Error) throw found
        return found
      },
    },
    groups: { of: async () => ['ops'] },
    passwords: { spend: async (password) => void spent.push(password) },
  })
  return { source, spent }
}

test('no password lets them in, and refusing takes as long as a wrong one', async () => {
  const { source, spent } = sourceOf(row)
  expect(await source.authenticate('ann', 'x')).toBe('wrong-password')
  expect(spent).toEqual(['x'])
})

test.each([
  ['an account of another source', { source: 'oidc' }],
  ['an account of Berth itself', { source: 'berth' }],
  ['a robot', { kind: 'robot' }],
] as const)('%s is somebody else’s', async (_, change) => {
  const { source } = sourceOf({ ...row, ...change })
  expect(await source.authenticate('ann', 'x')).toBe('no-match')
  expect(await source.find?.('ann')).toBeUndefined()
})

test('they are found with their labels, unless they are disabled', async () => {
  expect(await sourceOf(row).source.find?.('ann')).toMatchObject({
    labels: { teams: ['dev'], groups: ['ops'] },
    admin: false,
  })
  expect(await sourceOf({ ...row, disabled: true }).source.find?.('ann')).toBeUndefined()
  expect(await sourceOf({ ...row, disabled: true }).source.authenticate('ann', 'x')).toBe('wrong-password')
  expect(await sourceOf(undefined).source.find?.('ann')).toBeUndefined()
})

test('a client without credentials is nobody here', async () => {
  const { source } = sourceOf(new Error('not asked'))
  expect(await source.authenticate('', '')).toBe('no-match')
  expect(await source.find?.('')).toBeUndefined()
})

test('a database that does not answer lets nobody in', async () => {
  const { source } = sourceOf(new Error('disk I/O error'))
  const errors = [source.authenticate('ann', 'x'), source.find?.('ann')].map((answer) =>
    answer?.catch((e: unknown) => e),
  )
  for (const error of await Promise.all(errors)) expect(error).toBeInstanceOf(UnavailableError)
})
