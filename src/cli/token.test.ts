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
  ).toBe(`NAME      STATE    RIGHTS                               LAST USED  ENDS   DESCRIPTION
robot-ci  enabled  repository:a/**:pull repository:b:*  never      never
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
Last used    never
Ends         never
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
  const ends = (await run(robotCommand, 'add', 'old', '--grant', 'repository:a:pull', '--expires', '1h')).code
  expect([ends, (await run(robotCommand, 'show', 'old')).out]).toEqual([
    0,
    expect.stringContaining('\nEnds         2026-01-02T04:04:05Z\n'),
  ])
  expect((await run(tokenCommand, 'revoke', '--all', 'robot-old')).code).toBe(0)
  expect((await run(robotCommand, 'show', 'old')).out).toContain('\nEnds         no token\n')
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
    ).toBe(`ID      ACCOUNT        NAME          SCOPES             LAST USED  ENDS                  KIND      SOURCE  FROM
id-001  evil\\u{1b}[2J  x             -                  never      2026-01-02T03:04:05Z  refresh   ldap
id-002  jo             laptop        repository:a:pull  never      2026-04-02T03:04:05Z  personal  berth
id-003  max            command line  -                  never      never                 personal  static
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

  test('a terminal shows beginnings of ids, with which tokens end', async () => {
    const { run, metadata, tokens } = await openShell({ columns: 80 })
    const idOf = (start: string) => `${start}-e9fd-4a01-8000-000000000000`
    const { token } = await tokens.create({
      ...{ source: 'berth', account: 'robot-continuous-delivery', name: 'production', kind: 'personal' as const },
      ...{ limits: undefined, expiresAt: START + 90 * 86_400_000, stamp: undefined },
    })
    for (const [index, start] of ['20a7fdbf', '20a7fd00', '381ddac6'].entries()) {
      await metadata.tokens.add({ ...token, id: idOf(start), hash: String(index).repeat(64) })
    }
    await tokens.revoke(token.id)
    expect((await run(tokenCommand, 'list')).out).toBe(
      [
        'ID        ACCOUNT                    NAME        LAST USED  ENDS',
        ...['20a7fd00', '20a7fdbf', '381ddac6'].map(
          (start) => `${start}  robot-continuous-delivery  production  never      2026-04-02T03:04Z`,
        ),
        '',
      ].join('\n'),
    )
    const revoke = async (...ids: string[]) => (await run(tokenCommand, 'revoke', ...ids)).error
    expect(await revoke('381ddac6', '20a7fd')).toBe(
      `berth: several tokens have ids that begin with 20a7fd: ${idOf('20a7fd00')}, ${idOf('20a7fdbf')}\n`,
    )
    expect(await revoke('381ddac7')).toBe('berth: there is no token whose id begins with 381ddac7\n')
    expect(await revoke('20a7fdbf', '381ddac6-e9fd')).toBe(
      `The token ${idOf('20a7fdbf')} has ended.\nThe token ${idOf('381ddac6')} has ended.\n`,
    )
    expect((await run(tokenCommand, 'list', '--no-trunc')).out).toContain(`\n${idOf('20a7fd00')}  `)
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
