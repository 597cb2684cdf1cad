import { describe, expect, test } from 'bun:test'
import { START } from '../auth/accounts.fixture.ts'
import { openShell } from './admin.fixture.ts'
import { auditCommand } from './audit.ts'
import { keyCommand } from './key.ts'
import { robotCommand } from './robot.ts'
import { tokenCommand } from './token.ts'

test('berth robot', async () => {
  const { run } = await openShell()
  const made = await run(robotCommand, 'add', 'ci', '--grant', 'repository:a/**:pull', '--grant', 'repository:b:*')
  expect(made).toEqual({
    out: 'SECRET\n',
    error: 'The robot robot-ci is made. Its token is shown this once.\n',
    code: 0,
  })
  expect(
    (await run(robotCommand, 'list')).out,
  ).toBe(`NAME      STATE    RIGHTS                               DESCRIPTION
robot-ci  enabled  repository:a/**:pull repository:b:*
`)
  const changed = await run(
    robotCommand,
    'set',
    'ci',
    '--grant',
    'repository:c:pull',
    '--disable',
    '--description',
    'C',
  )
  expect(changed.error).toBe('The robot robot-ci is changed.\n')
  expect((await run(robotCommand, 'show', 'ci')).out).toBe(`Name         robot-ci
State        disabled
Rights       repository:c:pull
Description  C
Created      2026-01-02T03:04:05Z
Changed      2026-01-02T03:04:05Z
`)
  const json = await run(
    robotCommand,
    'add',
    'x',
    '--grant',
    'repository:a:pull',
    '--format',
    'json',
    '--expires',
    '2026-02-03',
  )
  expect(JSON.parse(json.out)).toMatchObject({ secret: 'SECRET', token: { expiresAt: '2026-02-03T23:59:59.000Z' } })
  expect(await run(robotCommand, 'rm', 'ci', 'x')).toEqual({
    out: '',
    error: 'The robot robot-ci is removed.\nThe robot robot-x is removed.\n',
    code: 0,
  })
  expect((await run(robotCommand, 'set', 'ci')).error).toBe('berth: name what is to change\n')
  expect((await run(robotCommand, 'add', 'y', '--grant', 'all')).error).toBe(
    'berth: a right looks like repository:team/**:pull,push\n',
  )
  expect((await run(robotCommand, 'add', 'y')).code).toBe(2)
})

describe('berth token', () => {
  test('create prints the secret alone; list and revoke', async () => {
    const { run, tokens } = await openShell()
    const foreign = { source: 'ldap', account: 'evil\x1b[2J', name: 'x', kind: 'refresh', limits: undefined } as const
    const { token } = await tokens.create({ ...foreign, expiresAt: START + 1, stamp: undefined })
    expect(
      await run(tokenCommand, 'create', 'jo', '--name', 'laptop', '--scope', 'repository:a:pull', '--expires', '90d'),
    ).toEqual({
      out: 'SECRET\n',
      error: 'The token id-002 of jo is shown this once. It ends at 2026-04-02T03:04:05Z.\n',
      code: 0,
    })
    expect((await run(tokenCommand, 'create', 'max')).error).toBe(
      'The token id-003 of max is shown this once. It ends never.\n',
    )
    expect(
      (await run(tokenCommand, 'list')).out,
    ).toBe(`ID      ACCOUNT        SOURCE  KIND      NAME          LIMITS             ENDS                  LAST USED  FROM
id-001  evil\\u{1b}[2J  ldap    refresh   x             -                  2026-01-02T03:04:05Z  never
id-002  jo             berth   personal  laptop        repository:a:pull  2026-04-02T03:04:05Z  never
id-003  max            static  personal  command line  -                  never                 never
`)
    expect(await run(tokenCommand, 'list', '--account', 'jo', '--kind', 'refresh')).toEqual({
      ...{ out: '', error: 'Nothing fits what was asked for.\n', code: 0 },
    })
    expect((await run(tokenCommand, 'revoke', token.id, 'id-003')).error).toBe(
      'The token id-001 has ended.\nThe token id-003 has ended.\n',
    )
    expect((await run(tokenCommand, 'revoke', '--all', 'jo')).error).toBe('1 token of jo ended.\n')
    expect(await run(tokenCommand, 'list')).toEqual({
      ...{ out: '', error: 'There are no tokens: berth token create ACCOUNT\n', code: 0 },
    })
  })

  test.each<[string, string[], string]>([
    ['an account that nobody knows', ['create', 'x'], 'no source of users knows an account x that could have tokens'],
    [
      'an end that is none',
      ['create', 'jo', '--expires', 'soon'],
      '"soon" is no end: write 90d, 12h, 4w, 1y, 2027-01-31, or never',
    ],
    ['an end that is over', ['create', 'jo', '--expires', '2025-01-01'], 'this moment is over'],
    ['no token', ['revoke'], 'name tokens by their ids, or --all ACCOUNT'],
    ['some tokens and all', ['revoke', 'a', '--all', 'jo'], 'name tokens by their ids, or --all ACCOUNT'],
  ])('refuses %s', async (_, args, message) => {
    const { run } = await openShell()
    expect(await run(tokenCommand, ...args)).toEqual({ out: '', error: `berth: ${message}\n`, code: 1 })
  })
})

test('berth audit shows what strangers wrote without obeying it', async () => {
  const { run, metadata } = await openShell()
  const row = {
    at: START,
    kind: 'token' as const,
    account: 'jo\x1b]0;x\x07\u202e',
    source: '',
    address: '192.0.2.1',
    service: 'S',
    asked: 'repository:a:pull',
    granted: '',
    rules: '',
    outcome: 'denied' as const,
    detail: '',
  }
  await metadata.audit.append([row, { ...row, account: 'jo', detail: 'ok' }])
  expect(
    (await run(auditCommand, '--account', 'jo')).out,
  ).toBe(`TIME                  KIND   ACCOUNT  SOURCE  FROM       OUTCOME  ASKED              GRANTED  RULES  DETAIL
2026-01-02T03:04:05Z  token  jo       -       192.0.2.1  denied   repository:a:pull  -        -      ok
`)
  const page = await run(auditCommand, '--limit', '1')
  expect(page.error).toBe('There is more: add --before 2\n')
  expect((await run(auditCommand)).out).toContain('jo\\u{1b}]0;x\\u{7}\\u{202e}')
  const json = await run(auditCommand, '--format', 'json')
  expect(json.out).toContain('jo\\u001b]0;x\\u0007\\u202e')
  expect(JSON.parse(json.out)).toMatchObject({ entries: [{ account: 'jo' }, { account: row.account }] })
})

test('berth key', async () => {
  const { run, rotations } = await openShell()
  expect((await run(keyCommand, 'list')).out).toBe(`ID  ALGORITHM  STATE    SIGNS FROM  TRUSTED UNTIL
k1  ES256      signing  -           -
`)
  expect((await run(keyCommand, 'rotate', '--algorithm', 'RS256', '--now')).error).toBe(
    'The key k2 signs from 2026-01-02T03:04:05Z on.\n',
  )
  expect(rotations).toEqual([{ algorithm: 'RS256', immediately: true }])
})
