import { describe, expect, test } from 'bun:test'
import { ACTOR } from '../auth/accounts.fixture.ts'
import { openShell } from './admin.fixture.ts'
import { groupCommand } from './group.ts'
import { userCommand } from './user.ts'

describe('berth user', () => {
  test('add, list and show', async () => {
    const { run, groups } = await openShell({ password: 'secret' })
    await groups.create({ name: 'dev' }, ACTOR)
    const labels = ['--label', 'team=a', '--label', 'team=b', '--label', 'site=x']
    expect(
      await run(userCommand, 'add', 'lea', '--admin', '--description', 'Lea', '--group', 'dev', ...labels),
    ).toEqual({
      out: '',
      error: 'New password for lea: \nThe user lea is made.\n',
      code: 0,
    })
    expect(await run(userCommand, 'list')).toEqual({
      out: `NAME  ROLE   STATE    PASSWORD  SOURCE  LABELS           DESCRIPTION
jo    user   enabled  yes       berth
lea   admin  enabled  yes       berth   team=a,b site=x  Lea
root  admin  enabled  yes       berth
`,
      error: '',
      code: 0,
    })
    expect((await run(userCommand, 'show', 'lea')).out).toBe(`Name         lea
Role         admin
State        enabled
Password     yes
Source       berth
Groups       dev
Labels       team=a,b site=x
Description  Lea
Created      2026-01-02T03:04:05Z
Changed      2026-01-02T03:04:05Z
`)
  })

  test('whoever makes a user is told what it may do, and how that is changed', async () => {
    const { run, groups } = await openShell({ password: 'secret' })
    expect((await run(userCommand, 'add', 'lea')).error).toBe(`New password for lea: \nThe user lea is made.
What it may do: berth acl test lea repository:NAME:pull,push
To change that: berth group join GROUP lea, and a rule for that group:
  berth acl add --label groups=GROUP --name 'NAME/**' --actions pull,push,delete
`)
    await groups.create({ name: 'dev' }, ACTOR)
    expect((await run(userCommand, 'add', 'max', '--group', 'dev')).error).toContain(
      'To change that: a rule for its group:\n  berth acl add --label groups=dev ',
    )
    expect(
      (await run(userCommand, 'add', 'eva', '--data', 'my data')).error,
    ).toBe(`New password for eva: \nThe user eva is made.
What it may do: berth acl test eva repository:NAME:pull,push --data 'my data'
To change that: berth group join GROUP eva --data 'my data', and a rule for that group:
  berth acl add --label groups=GROUP --name 'NAME/**' --actions pull,push,delete --data 'my data'
`)
    // Programs read the answer.
    expect((await run(userCommand, 'add', 'ann', '--format', 'json')).error).toEndWith('The user ann is made.\n')
    expect(await run(userCommand, 'add', 'lea')).toMatchObject({
      ...{ out: '', code: 1 },
      error: expect.stringContaining(
        'there is a user lea already\nHint: berth user set lea, berth user passwd lea or berth group join GROUP lea\n',
      ),
    })
    expect(await run(userCommand, 'set', 'lea', '--group', 'dev')).toEqual({
      ...{ out: '', code: 2 },
      error:
        'berth: user set does not change the groups of a user\nHint: berth group join dev lea, or berth group leave dev lea\n',
    })
  })

  test('list fits the terminal', async () => {
    const { run } = await openShell({ password: 'secret', columns: 44 })
    await run(userCommand, 'add', 'somebody-with-a-long-name', '--description', 'who has one')
    expect(await run(userCommand, 'list')).toEqual({
      out: `NAME                       ROLE   STATE
jo                         user   enabled
root                       admin  enabled
somebody-with-a-long-name  user   enabled
`,
      error: 'Left out: DESCRIPTION, SOURCE, PASSWORD (--no-trunc shows all)\n',
      code: 0,
    })
    expect((await run(userCommand, 'list', '--no-trunc')).out).toContain('PASSWORD  SOURCE  LABELS  DESCRIPTION')
  })

  test('list stops where it is told, and says how to go on', async () => {
    const { run } = await openShell()
    expect(await run(userCommand, 'list', '--limit', '1')).toEqual({
      out: expect.stringMatching(/^NAME.*\njo .*\n$/),
      error: 'There is more: add --last jo\n',
      code: 0,
    })
    expect((await run(userCommand, 'list', '--limit', '1', '--last', 'jo')).out).toContain('root')
  })

  test('list as JSON is the answer of the API', async () => {
    const { run, ask } = await openShell()
    const { out } = await run(userCommand, 'list', '--format', 'json')
    expect(JSON.parse(out)).toEqual((await ask('GET /users')).json)
    expect(out).toEndWith('\n')
  })

  test('add --generate prints the password alone, once it counts', async () => {
    const { run, metadata } = await openShell()
    const { out, error, code } = await run(userCommand, 'add', 'lea', '--generate')
    expect([error, code]).toEqual([expect.stringMatching(/^The user lea is made\.\n/), 0])
    expect(out).toMatch(/^[\w-]{24}\n$/)
    const hash = (await metadata.users.find('lea'))?.passwordHash ?? ''
    expect(await Bun.password.verify(out.trim(), hash)).toBe(true)
    const again = await run(userCommand, 'add', 'lea', '--generate')
    expect(again).toEqual({ out: '', error: expect.stringContaining('there is a user lea already\n'), code: 1 })
  })

  test('add --no-password makes a user for tokens alone', async () => {
    const { run, accounts } = await openShell()
    expect((await run(userCommand, 'add', 'lea', '--no-password')).code).toBe(0)
    expect(await accounts.find('lea')).toMatchObject({ hasPassword: false, admin: false })
  })

  test('set changes what is named', async () => {
    const { run, accounts } = await openShell()
    expect(await run(userCommand, 'set', 'jo', '--admin', '--disable', '--label', 'a=b=c')).toEqual({
      out: '',
      error: 'The user jo is changed.\n',
      code: 0,
    })
    expect(await accounts.find('jo')).toMatchObject({ admin: true, disabled: true, labels: { a: ['b=c'] } })
    await run(userCommand, 'set', 'jo', '--no-admin', '--enable', '--no-labels', '--description', '')
    expect(await accounts.find('jo')).toMatchObject({ admin: false, disabled: false, labels: {} })
  })

  test('passwd and rm', async () => {
    const { run, metadata } = await openShell({ password: 'new' })
    expect((await run(userCommand, 'passwd', 'jo')).error).toBe(
      'New password for jo: \nThe password of jo is changed.\n',
    )
    expect(await Bun.password.verify('new', (await metadata.users.find('jo'))?.passwordHash ?? '')).toBe(true)
    const generated = await run(userCommand, 'passwd', 'jo', '--generate')
    expect(generated.out).toMatch(/^[\w-]{24}\n$/)
    expect(await run(userCommand, 'rm', 'jo')).toEqual({ out: '', error: 'The user jo is removed.\n', code: 0 })
  })

  test.each<[string, string[], string]>([
    ['nobody', ['show', 'x'], 'there is no user x'],
    ['a name that is none', ['show', '..'], '".." is no name'],
    ['nothing to change', ['set', 'jo'], 'name what is to change'],
    ['two that exclude each other', ['set', 'jo', '--enable', '--disable'], 'choose one of --enable and --disable'],
    ['half a label', ['set', 'jo', '--label', 'a'], '"a" is no label: write NAME=VALUE'],
    ['nobody, before it asks for the password', ['passwd', 'x'], 'there is no user x'],
    ['no password', ['add', 'x'], 'no password on standard input'],
    [
      'two passwords',
      ['passwd', 'jo', '--generate', '--password-stdin'],
      'choose one of --generate and --password-stdin',
    ],
    [
      'a password in JSON',
      ['add', 'x', '--generate', '--format', 'json'],
      '--generate prints the password alone, not as JSON',
    ],
    ['the last administrator', ['rm', 'root'], 'root is the last administrator that can log in with a password'],
    ['a page of none', ['list', '--limit', '0'], expect.stringContaining('the request is not valid: query.limit')],
  ])('refuses %s', async (_, args, message) => {
    const { run } = await openShell()
    const { out, error, code } = await run(userCommand, ...args)
    expect([out, error.replace(/^berth: |\n$/g, ''), code]).toEqual(['', message, 1])
  })

  test('names the problems of a value one by one', async () => {
    const { run } = await openShell()
    const { error } = await run(userCommand, 'set', 'jo', '--label', '-a=x', '--label', 'b=')
    expect(error).toBe(`berth: a label has 1 to 64 letters, digits and . _ : / -
  labels.-a: a label has 1 to 64 letters, digits and . _ : / -
  labels.b: a value has 1 to 200 characters, none of them a control character
`)
  })
})

test('berth group', async () => {
  const { run } = await openShell()
  const errors: string[] = []
  for (const line of [
    'add dev --description Developers',
    'join dev jo root',
    'leave dev root',
    'leave dev root',
    'join dev nobody',
  ]) {
    errors.push((await run(groupCommand, ...line.split(' '))).error)
  }
  expect(errors).toEqual([
    'The group dev is made.\n',
    'jo is in dev.\nroot is in dev.\n',
    'root is no longer in dev.\n',
    'berth: root is not a member of dev\n',
    'berth: there is no user nobody\n',
  ])
  expect((await run(groupCommand, 'members', 'dev')).out).toBe('jo\n')
  expect((await run(groupCommand, 'list')).out).toBe(`NAME  CREATED               DESCRIPTION
dev   2026-01-02T03:04:05Z  Developers
`)
  expect(await run(groupCommand, 'rm', 'dev')).toEqual({ out: '', error: 'The group dev is removed.\n', code: 0 })
  expect((await run(groupCommand, 'members', 'dev')).code).toBe(1)
})
