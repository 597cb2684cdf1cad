import { describe, expect, test } from 'bun:test'
import { aclCommand } from './acl.ts'
import { openShell } from './admin.fixture.ts'

describe('berth acl', () => {
  test('add, list, move and rm', async () => {
    const { run } = await openShell()
    const add = async (...args: string[]) => (await run(aclCommand, 'add', ...args)).error
    expect(await add('--account', 'a*', '--name', 'team/**', '--label', 'g=x', '--actions', 'pull, push')).toBe(
      'The rule id-001 is added.\n',
    )
    await add('--all', '--actions', '', '--comment', 'nothing else', '--position', '2')
    await add('--account', '', '--ip', '10.0.0.0/8', '--actions', '*')
    expect((await run(aclCommand, 'list')).out).toBe(`#  ID      MATCH                              ACTIONS    COMMENT
1  id-003  account='' ip=10.0.0.0/8           *
2  id-001  account=a* name=team/** label:g=x  pull,push
3  id-002  everything                         nothing    nothing else
`)
    expect((await run(aclCommand, 'move', 'id-003', '3')).error).toBe('The rule id-003 is moved.\n')
    expect((await run(aclCommand, 'rm', 'id-001')).error).toBe('The rule id-001 is removed.\n')
    const { out } = await run(aclCommand, 'list', '--format', 'json')
    expect(JSON.parse(out)).toMatchObject({ rules: [{ id: 'id-002' }, { id: 'id-003' }] })
  })

  test('test says what decided, and what each rule before lacked', async () => {
    const { run, questions } = await openShell()
    const flags = ['--ip', '192.0.2.1', '--label', 'g=x', '--service', 'S']
    expect(await run(aclCommand, 'test', 'jo', 'repository:a:pull,push', 'registry:catalog:pull', ...flags)).toEqual({
      out: `jo: repository:a:pull,push
  granted: pull
  refused: push
  decided by: auth_config.yml:12
    auth_config.yml:9: account is "jo", not "root"
    auth_config.yml:12 (all may pull): matches, and grants pull
jo: registry:catalog:pull
  granted: pull
  decided by: auth_config.yml:12
    auth_config.yml:9: account is "jo", not "root"
    auth_config.yml:12 (all may pull): matches, and grants pull
`,
      error: '',
      code: 1,
    })
    expect(questions[0]).toMatchObject({ ip: '192.0.2.1', labels: { g: ['x'] }, service: 'S' })
    const nobody = await run(aclCommand, 'test', '', 'repository:a:pull')
    expect(nobody.code).toBe(0)
    expect(nobody.out).toStartWith('a client without credentials: repository:a:pull\n  granted: pull\n')
    expect(nobody.out).toContain('auth_config.yml:9: account is empty, not "root"')
    const narrow = await openShell({ columns: 40 })
    expect((await narrow.run(aclCommand, 'test', 'jo', 'repository:a:pull')).out).toBe(`jo: repository:a:pull
  granted: pull
  decided by: auth_config.yml:12
    auth_config.yml:9: account is "jo",
      not "root"
    auth_config.yml:12 (all may pull):
      matches, and grants pull
`)
    const json = await run(aclCommand, 'test', 'jo', 'repository:a:push', '--format', 'json')
    expect([JSON.parse(json.out).missing, json.code]).toEqual([['push'], 1])
  })

  test.each<[string, string[], string]>([
    [
      'a rule without a condition',
      ['add', '--actions', '*'],
      'name a condition, or --all for everybody and everything',
    ],
    [
      'one for all with a condition',
      ['add', '--all', '--ip', '::1', '--actions', '*'],
      '--all goes without conditions',
    ],
    ['a place that is none', ['move', 'x', '0'], '"0" is no position: 1 is the first'],
    [
      'two patterns of one label',
      ['add', '--label', 'a=1', '--label', 'a=2', '--actions', ''],
      'the label a has two patterns: a rule can match one',
    ],
    ['a rule that is not there', ['rm', 'x'], 'there is no rule x'],
    ['a scope that is none', ['test', 'jo', 'a/b'], 'invalid scope: "a/b": write TYPE:NAME:ACTION,ACTION'],
  ])('refuses %s', async (_, args, message) => {
    const { run } = await openShell()
    expect(await run(aclCommand, ...args)).toEqual({ out: '', error: `berth: ${message}\n`, code: 1 })
  })
})
