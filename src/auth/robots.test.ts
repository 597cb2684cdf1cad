import { describe, expect, test } from 'bun:test'
import { ACTOR, caught, openAccounts, START } from './accounts.fixture.ts'
import { ChangeError } from './administration.ts'
import { createDatabaseAuthenticator } from './database.ts'

const said = (error: unknown) =>
  error instanceof ChangeError ? [error.kind, error.message, ...error.problems.map(({ path }) => path)] : error

const GRANT = { type: 'repository', name: 'team/**', actions: ['pull', 'push'] }

describe('a robot', () => {
  test('is made with its rights and one token', async () => {
    const { robots, tokens, recorded } = openAccounts()
    const wanted = { name: 'ci', grants: ['repository:team/**:push,pull'], description: 'CI', expiresAt: START + 10 }
    const { robot, token } = await robots.create(wanted, ACTOR)
    expect(robot).toMatchObject({ name: 'robot-ci', kind: 'robot', grants: [GRANT], admin: false, hasPassword: false })
    expect(await robots.find('ci')).toEqual(robot)
    expect(await robots.list({ limit: 10 })).toEqual([robot])
    expect(await tokens.check(token.secret, START + 9)).toMatchObject({ account: 'robot-ci', source: 'berth' })
    expect(await tokens.check(token.secret, START + 10)).toBeUndefined()
    expect(recorded).toEqual([
      'root robot robot-ci: done: made, with repository:team/**:push,pull',
      'root tokens of robot-ci: done: made first until 2026-01-02T03:04:05.010Z',
    ])
  })

  test.each([
    ['without rights', { name: 'a', grants: [] }, ['invalid', 'there must be at least one right', 'grants']],
    [
      'with a right that is none',
      { name: 'a', grants: ['repository:a:pull', 'pull'] },
      ['invalid', 'a right looks like repository:team/**:pull,push', 'grants.1'],
    ],
    [
      'with a right that no name could use',
      { name: 'a', grants: ['repository:a b:pull'] },
      ['invalid', 'a right looks like repository:team/**:pull,push', 'grants.0'],
    ],
    [
      'with a name that is none',
      { name: 'a b', grants: ['repository:a:pull'] },
      ['invalid', expect.any(String), 'name'],
    ],
    ['twice', { name: 'robot-ci', grants: ['repository:a:pull'] }, ['conflict', 'there is a robot robot-ci already']],
    [
      'with a token that is over',
      { name: 'a', grants: ['repository:a:pull'], expiresAt: START },
      ['invalid', 'this moment is over', 'expiresAt'],
    ],
  ])('is not made %s', async (_, wanted, expected) => {
    const { robots } = openAccounts()
    await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    expect(said(await caught(robots.create(wanted, ACTOR)))).toEqual(expected)
    expect((await robots.list({ limit: 10 })).map(({ name }) => name)).toEqual(['robot-ci'])
  })

  test('gets other rights at once, and none while it is disabled', async () => {
    const { robots, metadata, passwords } = openAccounts()
    const source = createDatabaseAuthenticator({ users: metadata.users, groups: metadata.groups, passwords })
    await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    await robots.change('ci', { grants: ['repository:team/**:pull,push'] }, ACTOR)
    expect(await source.find?.('robot-ci')).toMatchObject({ grants: [GRANT] })
    await robots.change('robot-ci', { disabled: true, description: 'off' }, ACTOR)
    expect(await source.find?.('robot-ci')).toBeUndefined()
    expect(await robots.find('ci')).toMatchObject({ disabled: true, description: 'off', grants: [GRANT] })
  })

  test('that is made or changed counts at once: what was wrong a moment ago is asked again', async () => {
    const { robots, passwords } = openAccounts()
    const seen = [passwords.fingerprint('x')]
    await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    seen.push(passwords.fingerprint('x'))
    await robots.change('ci', { disabled: false }, ACTOR)
    seen.push(passwords.fingerprint('x'))
    expect(new Set(seen).size).toBe(3)
  })

  test('that is removed while its token waits for its turn leaves none to another of its name', async () => {
    const { robots, changes, tokens } = openAccounts()
    await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    const { promise, resolve } = Promise.withResolvers<void>()
    const first = changes.run(ACTOR, 'x', '', () => promise)
    const removed = robots.remove('ci', ACTOR)
    const late = caught(robots.addToken('ci', { name: 'late' }, ACTOR))
    resolve()
    await Promise.all([first, removed])
    expect(said(await late)).toEqual(['not-found', 'there is no robot robot-ci'])
    expect(await tokens.list({ account: 'robot-ci' }, { limit: 10 })).toEqual([])
  })

  test('has more tokens if it needs them, and takes all with it', async () => {
    const { robots, tokens } = openAccounts()
    const { token: first } = await robots.create({ name: 'ci', grants: ['repository:a:pull'] }, ACTOR)
    const second = await robots.addToken('ci', { name: 'second' }, ACTOR)
    expect((await robots.tokens('ci', { limit: 10 })).map(({ name }) => name)).toEqual(['first', 'second'])
    await robots.remove('ci', ACTOR)
    for (const { secret } of [first, second]) expect(await tokens.check(secret, START)).toBeUndefined()
    expect(said(await caught(robots.addToken('ci', { name: 'x' }, ACTOR)))).toEqual([
      'not-found',
      'there is no robot robot-ci',
    ])
  })

  test('is no user by another name', async () => {
    const { robots, accounts } = openAccounts()
    await accounts.create({ name: 'jo' }, ACTOR)
    expect(await robots.find('jo')).toBeUndefined()
    expect(said(await caught(robots.remove('jo', ACTOR)))).toEqual(['not-found', 'there is no robot robot-jo'])
  })
})
