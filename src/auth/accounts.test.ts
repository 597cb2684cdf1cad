import { describe, expect, test } from 'bun:test'
import { MetadataError } from '../metadata/metadata.ts'
import { ACTOR, caught, openAccounts, START } from './accounts.fixture.ts'
import type { Accounts } from './accounts.ts'
import { ChangeError } from './administration.ts'
import { createDatabaseAuthenticator } from './database.ts'

function open(onPassword?: (name: string) => void) {
  const opened = openAccounts(onPassword === undefined ? {} : { onPassword })
  const { metadata, passwords } = opened
  const source = createDatabaseAuthenticator({ users: metadata.users, groups: metadata.groups, passwords })
  return {
    ...opened,
    async mayLogIn(name: string, password: string) {
      return typeof (await source.authenticate(name, password)) === 'object'
    },
  }
}

const said = (error: unknown) => (error instanceof ChangeError ? [error.kind, error.message] : error)

describe('the first administrator', () => {
  test('is made with the password that the operator wants', async () => {
    const { accounts, mayLogIn, recorded } = open()
    expect(await accounts.ensureAdmin('123')).toBe('123')
    expect(await mayLogIn('admin', '123')).toBe(true)
    expect(await accounts.find('admin')).toMatchObject({ admin: true, kind: 'user', source: 'berth' })
    expect(recorded).toEqual(['@operator user admin: done: first administrator made'])
  })

  test('gets a password that nobody can guess, and only once', async () => {
    const { accounts } = open()
    expect(await accounts.ensureAdmin(undefined)).toMatch(/^[\w-]{24}$/)
    expect(await accounts.ensureAdmin(undefined)).toBeUndefined()
  })

  test('comes back with a new password when it was lost', async () => {
    const { accounts, mayLogIn } = open()
    expect(await accounts.setPassword('admin', 'new')).toBe(true)
    expect(await mayLogIn('admin', 'new')).toBe(true)
    expect(await accounts.setPassword('nobody', 'new')).toBe(false)
  })
})

describe('a user', () => {
  test('is made with everything that is known of it', async () => {
    const { accounts, groups, mayLogIn, recorded } = open()
    await groups.create({ name: 'dev' }, ACTOR)
    const wanted = { name: 'jo', password: '123', labels: { team: ['a'] }, description: 'Jo', groups: ['dev'] }
    const row = {
      name: 'jo',
      kind: 'user' as const,
      source: 'berth',
      admin: false,
      disabled: false,
      labels: { team: ['a'] },
      grants: undefined,
      description: 'Jo',
      createdAt: START,
      updatedAt: START,
      hasPassword: true,
    }
    expect(await accounts.create(wanted, ACTOR)).toEqual(row)
    expect(await accounts.find('jo')).toEqual({ ...row, groups: ['dev'] })
    expect(await accounts.list({ limit: 10 })).toEqual([row])
    expect(await mayLogIn('jo', '123')).toBe(true)
    expect(recorded.at(-1)).toBe('root user jo: done: made')
  })

  test.each([
    ['twice', { name: 'jo' }, ['conflict', 'there is a user jo already']],
    ['with the name of a robot', { name: 'robot-x' }, ['invalid', 'names that begin with robot- are those of robots']],
    ['with an empty password', { name: 'a', password: '' }, ['invalid', 'the password is empty']],
    ['with a password of two lines', { name: 'a', password: 'x\ny' }, ['invalid', expect.stringContaining('break')]],
    ['with more than bcrypt reads', { name: 'a', password: 'é'.repeat(37) }, ['invalid', expect.any(String)]],
    ['in a group that is not there', { name: 'a', groups: ['x'] }, ['invalid', 'there is no group x']],
    ['with a label without a name', { name: 'a', labels: { '': ['x'] } }, ['invalid', expect.any(String)]],
    ['with an empty label', { name: 'a', labels: { a: [''] } }, ['invalid', expect.any(String)]],
  ])('is not made %s', async (_, wanted, expected) => {
    const { accounts } = open()
    await accounts.create({ name: 'jo' }, ACTOR)
    expect(said(await caught(accounts.create(wanted, ACTOR)))).toEqual(expected)
    expect((await accounts.list({ limit: 10 })).map(({ name }) => name)).toEqual(['jo'])
  })

  test('that two administrators make at once is made once', async () => {
    const { accounts } = open()
    const both = [accounts.create({ name: 'jo' }, ACTOR), accounts.create({ name: 'jo', admin: true }, ACTOR)]
    expect((await Promise.all(both.map(caught))).map(said)).toEqual([
      undefined,
      ['conflict', 'there is a user jo already'],
    ])
  })

  test('changes in what is named, and in nothing else', async () => {
    const { accounts, wait, recorded } = open()
    await accounts.create({ name: 'jo', password: '1', labels: { a: ['b'] }, description: 'x' }, ACTOR)
    wait(5)
    await accounts.change('jo', { description: '' }, ACTOR)
    expect(await accounts.find('jo')).toMatchObject({ labels: { a: ['b'] }, description: '', updatedAt: START + 5 })
    await accounts.change('jo', { admin: true, disabled: false, labels: {}, password: 'secret' }, ACTOR)
    expect(await accounts.find('jo')).toMatchObject({ labels: {}, admin: true, createdAt: START })
    expect(recorded.at(-1)).toBe('root user jo: done: administrator, enabled, new password, labels {}')
  })

  test.each<[string, (accounts: Accounts) => Promise<unknown>]>([
    ['made', (accounts) => accounts.create({ name: 'new' }, ACTOR)],
    ['enabled', (accounts) => accounts.change('jo', { disabled: false }, ACTOR)],
    ['given a password', (accounts) => accounts.setPassword('jo', '2')],
    ['removed, so that another source may have its name', (accounts) => accounts.remove('jo', ACTOR)],
  ])('that is %s counts at once: what was wrong a moment ago is asked again', async (_, change) => {
    const { accounts, passwords } = open()
    await accounts.create({ name: 'jo' }, ACTOR)
    const before = passwords.fingerprint('x')
    await change(accounts)
    expect(passwords.fingerprint('x')).not.toBe(before)
  })

  test('does not log in any more from the moment that it is disabled, and again when it is enabled', async () => {
    const { accounts, mayLogIn } = open()
    await accounts.create({ name: 'jo', password: '1' }, ACTOR)
    expect(await mayLogIn('jo', '1')).toBe(true)
    await accounts.change('jo', { disabled: true }, ACTOR)
    expect(await mayLogIn('jo', '1')).toBe(false)
    await accounts.change('jo', { disabled: false }, ACTOR)
    expect(await mayLogIn('jo', '1')).toBe(true)
  })

  test('has no old password any more, and whoever waits for that is told', async () => {
    const told: string[] = []
    const { accounts, mayLogIn } = open((name) => told.push(name))
    await accounts.create({ name: 'jo', password: '1' }, ACTOR)
    await accounts.change('jo', { password: '2' }, ACTOR)
    await accounts.setPassword('jo', '3', ACTOR)
    await accounts.changeOwnPassword('jo', '3', '4', ACTOR)
    expect(told).toEqual(['jo', 'jo', 'jo'])
    const results: boolean[] = []
    for (const password of ['1', '2', '3', '4']) results.push(await mayLogIn('jo', password))
    expect(results).toEqual([false, false, false, true])
  })

  test('changes its own password only if it knows the old one', async () => {
    const { accounts, mayLogIn } = open()
    await accounts.create({ name: 'jo', password: '1' }, ACTOR)
    const error = await caught(accounts.changeOwnPassword('jo', '2', '3', ACTOR))
    expect(said(error)).toEqual(['invalid', 'the old password is wrong'])
    expect(await mayLogIn('jo', '1')).toBe(true)
  })

  test('that changes its own password keeps nobody waiting, and does so once at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const { accounts, metadata } = openAccounts({ passwords: { check: () => promise, reconsider: () => {} } })
    await accounts.create({ name: 'jo', password: '1' }, ACTOR)
    const slow = caught(accounts.changeOwnPassword('jo', '1', '2', ACTOR))
    expect(said(await caught(accounts.changeOwnPassword('jo', '1', '3', ACTOR)))).toEqual([
      'conflict',
      'the password of jo is being changed already',
    ])
    await accounts.change('jo', { disabled: true }, ACTOR)
    resolve(true)
    expect(await slow).toBeUndefined()
    expect(await metadata.users.find('jo')).toMatchObject({ disabled: true })
    expect(await Bun.password.verify('2', (await metadata.users.find('jo'))?.passwordHash ?? '')).toBe(true)
  })

  test('does not change a password that an administrator has changed meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const { accounts, metadata } = openAccounts({ passwords: { check: () => promise, reconsider: () => {} } })
    await accounts.create({ name: 'jo', password: '1' }, ACTOR)
    const slow = caught(accounts.changeOwnPassword('jo', '1', '2', ACTOR))
    await accounts.setPassword('jo', '3', ACTOR)
    resolve(true)
    expect(said(await slow)).toEqual(['invalid', 'the old password is wrong'])
    expect(await Bun.password.verify('3', (await metadata.users.find('jo'))?.passwordHash ?? '')).toBe(true)
  })

  test('without a password cannot begin one with an empty old one', async () => {
    const { accounts } = open()
    await accounts.create({ name: 'jo' }, ACTOR)
    expect(said(await caught(accounts.changeOwnPassword('jo', '', '3', ACTOR)))).toEqual([
      'invalid',
      'the old password is wrong',
    ])
  })

  test('of a web sign-in gets no password, which would outlive what that says', async () => {
    const { accounts, metadata } = open()
    await accounts.create({ name: 'jo' }, ACTOR)
    const row = await metadata.users.find('jo')
    if (row !== undefined) await metadata.users.put({ ...row, source: 'github' })
    expect(said(await caught(accounts.setPassword('jo', '1')))).toEqual(['conflict', 'jo signs in with github'])
  })

  test('takes its memberships and tokens with it', async () => {
    const { accounts, groups, tokens } = open()
    await accounts.create({ name: 'jo' }, ACTOR)
    await groups.create({ name: 'dev' }, ACTOR)
    await groups.join('dev', 'jo', ACTOR)
    const token = { source: 'berth', account: 'jo', name: 't', kind: 'personal', limits: undefined } as const
    const { secret } = await tokens.create({ ...token, expiresAt: undefined, stamp: undefined }, ACTOR)
    await accounts.remove('jo', ACTOR)
    expect(await accounts.find('jo')).toBeUndefined()
    expect(await groups.members('dev', { limit: 10 })).toEqual([])
    expect(await tokens.check(secret, START)).toBeUndefined()
    expect(said(await caught(accounts.remove('jo', ACTOR)))).toEqual(['not-found', 'there is no user jo'])
  })

  test('that is a robot is none', async () => {
    const { accounts, robots } = open()
    await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    expect(await accounts.find('robot-ci')).toBeUndefined()
    expect(await accounts.list({ limit: 10 })).toEqual([])
    expect(said(await caught(accounts.remove('robot-ci', ACTOR)))).toEqual(['not-found', 'there is no user robot-ci'])
    expect(said(await caught(accounts.setPassword('robot-ci', 'x')))).toEqual([
      'conflict',
      'robot-ci is a robot: it has tokens, no password',
    ])
  })
})

describe('the last administrator that can log in with a password', () => {
  async function two() {
    const opened = open()
    const { accounts } = opened
    await accounts.create({ name: 'a', password: '1', admin: true }, ACTOR)
    await accounts.create({ name: 'b', password: '1', admin: true }, ACTOR)
    // These count for nothing.
    await accounts.create({ name: 'c', admin: true }, ACTOR)
    await accounts.create({ name: 'd', password: '1' }, ACTOR)
    await accounts.create({ name: 'e', password: '1', admin: true }, ACTOR)
    await accounts.change('e', { disabled: true }, ACTOR)
    return opened
  }
  const refusal = ['conflict', 'b is the last administrator that can log in with a password']

  test('stays', async () => {
    const { accounts } = await two()
    await accounts.remove('a', ACTOR)
    expect(said(await caught(accounts.remove('b', ACTOR)))).toEqual(refusal)
    expect(said(await caught(accounts.change('b', { disabled: true }, ACTOR)))).toEqual(refusal)
    expect(said(await caught(accounts.change('b', { admin: false }, ACTOR)))).toEqual(refusal)
    expect(said(await caught(accounts.change('b', { description: 'x' }, ACTOR)))).toBeUndefined()
  })

  test('stays, too, when the last two are removed at once', async () => {
    const { accounts } = await two()
    const errors = await Promise.all([caught(accounts.remove('a', ACTOR)), caught(accounts.remove('b', ACTOR))])
    expect(errors.map(said)).toEqual([undefined, refusal])
  })

  test('stays when the page of administrators is longer than one', async () => {
    const { accounts, metadata } = await two()
    await accounts.remove('a', ACTOR)
    const row = await metadata.users.find('d')
    if (row === undefined) throw new Error('the user is missing')
    for (let i = 0; i < 600; i++) await metadata.users.put({ ...row, name: `x${String(i).padStart(3, '0')}` })
    await metadata.users.put({ ...row, name: 'z', admin: true })
    expect(said(await caught(accounts.remove('b', ACTOR)))).toBeUndefined()
  })
})

test('a database that does not answer is said to be so, without its words', async () => {
  const { accounts, metadata } = open()
  metadata.fail(new MetadataError('failed', 'disk I/O error in /var/lib'))
  const errors = [
    await caught(accounts.list({ limit: 1 })),
    await caught(accounts.find('a')),
    await caught(accounts.create({ name: 'a' }, ACTOR)),
    await caught(accounts.remove('a', ACTOR)),
  ]
  for (const error of errors) expect(String(error)).toBe('UnavailableError: the database does not answer')
})
