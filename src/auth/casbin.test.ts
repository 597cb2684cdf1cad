import { afterAll, describe, expect, spyOn, test } from 'bun:test'
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DefaultRoleManager } from 'casbin'
import type { AclRequest } from './acl.ts'
import { UnavailableError } from './authenticator.ts'
import type { Authorizer } from './authorizer.ts'
import { createCasbinAuthorizer } from './casbin.ts'
import { parseAddress } from './ip.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-casbin-'))
afterAll(() => rm(folder, { recursive: true }))
const fixtures = join(import.meta.dir, 'fixtures')
let made = 0

/** A model whose matcher is the argument, with the columns of the example. */
function modelOf(matcher: string, { request = 'account, type, name, service, ip, action, labels', more = '' } = {}) {
  return `[request_definition]
r = ${request}
[policy_definition]
p = account, name, action
[policy_effect]
e = some(where (p.eft == allow))
${more}[matchers]
m = ${matcher}
`
}

async function rulesOf(modelText: string, policyText: string) {
  const at = join(folder, String(made++))
  const [model, policy] = [`${at}.conf`, `${at}.csv`]
  await writeFile(model, modelText)
  await writeFile(policy, policyText)
  const warnings: [string, Record<string, unknown>][] = []
  const warn = (message: string, fields: Record<string, unknown>) => {
    warnings.push([message, fields])
  }
  return { model, policy, warnings, create: () => createCasbinAuthorizer({ model, policy, warn }) }
}

function request(some: Partial<AclRequest>): AclRequest {
  return {
    account: 'alice',
    type: 'repository',
    name: 'x',
    service: 'registry',
    ip: parseAddress('1.2.3.4'),
    actions: ['pull'],
    labels: {},
    ...some,
  }
}

async function granted(rules: Authorizer, some: Partial<AclRequest>): Promise<readonly string[] | undefined> {
  const ruling = await rules.authorize(request(some), 'first-match')
  if (ruling !== undefined) expect(ruling.rule).toBe('casbin_authz')
  return ruling?.actions
}

/** What a rule says of one request: `m` on the only line of the policy. */
async function says(matcher: string, line: string, some: Partial<AclRequest>) {
  const { create, warnings } = await rulesOf(modelOf(matcher), line)
  return { actions: await granted(await create(), some), warnings }
}

describe('the example of Casbin', async () => {
  const [model, policy] = [join(fixtures, 'casbin-model.conf'), join(fixtures, 'casbin-policy.csv')]
  const rules = await createCasbinAuthorizer({ model, policy })
  const ALL = ['write', 'read', 'delete']

  test.each([
    ['alice may write and read', 'alice book book1 bookstore1 1.2.3.4', { a: ['b'] }, ['write', 'read']],
    ['not from another address', 'alice book book1 bookstore1 1.2.3.3', { a: ['b'] }, []],
    ['not another book', 'alice book book2 bookstore2 1.2.3.4', { a: ['b'] }, []],
    ['not another type', 'alice pen book1 bookstore1 1.2.3.4', { a: ['b'] }, []],
    ['not with another label', 'alice book book1 bookstore1 1.2.3.4', { a: ['c'] }, []],
    ['not without labels', 'alice book book1 bookstore1 1.2.3.4', {}, []],
    ['a label more does not matter', 'alice book book1 bookstore1 1.2.3.4', { a: ['b', 'c'] }, ['write', 'read']],
    ['bob has the role', 'bob book book2 bookstore1 192.168.1.123', { a: ['b', 'c'], d: ['e'] }, ['read']],
    ['which wants both labels', 'bob book book2 bookstore1 192.168.1.123', { a: ['b'], d: ['e'] }, []],
    ['and no other', 'bob book book2 bookstore1 192.168.1.123', { a: ['b', 'c'] }, ['read']],
    ['not from outside the network', 'bob book book2 bookstore1 192.168.0.123', { a: ['b', 'c'], d: ['e'] }, []],
    ['not for another service', 'bob book book2 restaurant 192.168.1.123', { a: ['b', 'c'], d: ['e'] }, []],
    ['the administrator may do all', 'admin book book1 bookstore1 1.2.3.4', { a: ['b'] }, ALL],
    ['from anywhere', 'admin book book1 bookstore1 1.2.3.3', { a: ['b'] }, ALL],
    ['in any store', 'admin book book2 bookstore2 1.2.3.4', { a: ['b'] }, ALL],
    ['with any type', 'admin pen book1 bookstore1 1.2.3.4', { a: ['b'] }, ALL],
    ['with any label', 'admin book book1 bookstore1 1.2.3.4', { a: ['c'] }, ALL],
    ['a stranger may do nothing', 'eve book book1 bookstore1 1.2.3.4', { a: ['b'] }, []],
    ['nor may nobody', ' book book1 bookstore1 1.2.3.4', { a: ['b'] }, []],
  ])('%s', async (_, words, labels, expected) => {
    const [account = '', type = '', name = '', service = '', ip = ''] = words.split(' ')
    expect(await granted(rules, { account, type, name, service, ip: parseAddress(ip), labels, actions: ALL })).toEqual(
      expected,
    )
  })

  test('what was asked twice is granted twice, and nothing for nothing', async () => {
    expect(await granted(rules, { account: 'admin', actions: ['pull', 'pull', '*'] })).toEqual(['pull', 'pull', '*'])
    expect(await granted(rules, { account: 'admin', actions: [] })).toEqual([])
  })

  test('too many actions are not looked at', async () => {
    const actions = Array.from({ length: 101 }, (_, i) => `a${i}`)
    const error = await granted(rules, { account: 'eve', actions }).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(await granted(rules, { account: 'admin', actions: Array<string>(500).fill('pull') })).toHaveLength(500)
  })
})

describe('a function of a model', () => {
  test.each([
    ['regexMatch finds anywhere', 'regexMatch(r.name, p.name)', 'team/[a-z]+', 'a/team/x', true],
    ['keyMatch takes a star for the rest', 'keyMatch(r.name, p.name)', 'team/*', 'team/a/b', true],
    ['keyMatch2 takes a name for one segment', 'keyMatch2(r.name, p.name)', 'team/:app', 'team/x', true],
    ['keyMatch2 takes it for no more', 'keyMatch2(r.name, p.name)', 'team/:app', 'team/x/y', false],
    ['keyMatch2 takes a star behind a slash for the rest', 'keyMatch2(r.name, p.name)', 'team/*', 'team/x/y', true],
    ['keyMatch3 takes a name in braces', 'keyMatch3(r.name, p.name)', 'team/{app}/dev', 'team/x/dev', true],
    ['keyMatch3 takes the whole text', 'keyMatch3(r.name, p.name)', 'team/{app}', 'my/team/x', false],
    ['keyMatch4 wants the same for the same name', 'keyMatch4(r.name, p.name)', '{a}/x/{a}', 'b/x/b', true],
    ['keyMatch4 refuses another', 'keyMatch4(r.name, p.name)', '{a}/x/{a}', 'b/x/c', false],
    ['keyMatch4 tells names apart', 'keyMatch4(r.name, p.name)', '{a}/{b}/{b}', 'x/y/y', true],
    ['keyMatch5 does not see a query', 'keyMatch5(r.name, p.name)', 'team/{app}', 'team/x?y=1', true],
    ['keyGet2 answers what a name stands for', 'keyGet2(r.name, p.name, "app") == "x"', 'team/:app', 'team/x', true],
    ['keyGet3 does so in a segment', 'keyGet3(r.name, p.name, "app") == "x"', 't-{app}-{n}', 't-x-y', true],
    ['globMatch takes a star for one segment', 'globMatch(r.name, p.name)', 'team/*', 'team/x', true],
    ['globMatch takes it for no more', 'globMatch(r.name, p.name)', 'team/*', 'team/x/y', false],
    ['ipMatch knows networks', 'ipMatch(r.ip, p.name)', '1.2.0.0/16', 'x', true],
    ['ipMatch tells IPv4 and IPv6 apart', 'ipMatch(r.ip, p.name)', '::/0', 'x', false],
    ['labelMatch takes an empty text for no label', 'labelMatch(r.labels, p.name)', '', 'x', true],
    ['labelMatch takes null for no label', 'labelMatch(r.labels, p.name)', 'null', 'x', true],
    [
      'labelMatch knows no names of the language',
      'labelMatch(r.labels, p.name)',
      '"{""constructor"":[""a""]}"',
      'x',
      false,
    ],
  ])('%s', async (_, matcher, pattern, name, allowed) => {
    const { actions } = await says(`${matcher} && r.action == p.action`, `p, alice, ${pattern}, pull\n`, { name })
    expect(actions).toEqual(allowed ? ['pull'] : [])
  })

  test.each([
    ['a regular expression that is not valid', 'regexMatch(r.name, p.name)', '(a)\\1', 'error parsing regexp'],
    ['an address that is none', 'ipMatch(r.ip, p.name)', 'localhost', 'neither an address nor a CIDR block'],
    ['labels that are no JSON', 'labelMatch(r.labels, p.name)', '{a', 'JSON'],
    ['labels that are a list', 'labelMatch(r.labels, p.name)', '[]', 'labels must look like'],
    ['groups that confuse keyMatch4', 'keyMatch4(r.name, p.name)', '(x)', 'groups of its own'],
  ])('refuses an action for %s, and says so', async (_, matcher, pattern, problem) => {
    const condition = `r.action != "pull" || ${matcher}`
    const line = `p, alice, ${pattern}, pull\n`
    const { create, warnings } = await rulesOf(modelOf(`r.account != "account" && (${condition})`), line)
    expect(await granted(await create(), { actions: ['pull', 'push'] })).toEqual(['push'])
    expect(warnings).toHaveLength(1)
    const [message, fields] = warnings[0] ?? ['', {}]
    expect(message).toBe('the rules of Casbin cannot be evaluated: refused')
    expect(fields).toMatchObject({ account: 'alice', type: 'repository', name: 'x', action: 'pull' })
    expect(fields.problem).toContain(problem)
  })

  test('refuses a client whose address is not known where a rule asks for it', async () => {
    const { actions, warnings } = await says('ipMatch(r.ip, p.name)', 'p, alice, 0.0.0.0/0, pull\n', { ip: undefined })
    expect(actions).toEqual([])
    expect(warnings[0]?.[1].problem).toBe('ipMatch: the address of the client is not known')
  })

  // The library's own functions never come back from these.
  test.each([
    ['regexMatch', 'regexMatch(r.name, p.name)', '^(x+x+)+y$', 'x'.repeat(200)],
    ['keyMatch2', 'keyMatch2(p.name, r.name)', 'x', 'a/:/'],
    ['keyMatch3', 'keyMatch3(p.name, r.name)', 'x', 'a/{'],
    ['keyMatch4', 'keyMatch4(p.name, r.name)', 'x', 'a/{}/'],
    ['keyMatch5', 'keyMatch5(p.name, r.name)', 'x', 'a/{'],
    ['globMatch', 'globMatch(r.name, p.name)', '*a*a*a*a*a*a*a*a*a*b', 'a'.repeat(300)],
    ['regexMatch with a pattern of the client', 'regexMatch(p.name, r.name)', 'x'.repeat(200), '^(x+x+)+y$'],
    ['regexMatch with a large one', 'regexMatch(p.name, r.name)', 'x', '(x{999}){999}'],
    ['regexMatch with a long one', 'regexMatch(p.name, r.name)', 'x', 'x?'.repeat(100_000)],
  ])('%s answers whatever it is asked', async (_, matcher, pattern, name) => {
    expect((await says(matcher, `p, alice, ${pattern}, pull\n`, { name })).actions).toEqual([])
  })

  test('prints nothing', async () => {
    const streams = [spyOn(console, 'log'), spyOn(console, 'warn'), spyOn(console, 'error')]
    try {
      await says('r.account == "alice" && ipMatch(r.ip, p.name)', 'p, alice, nonsense, pull\n', {})
      await says('labelMatch(r.labels, p.name)', 'p, alice, , pull\n', {})
      expect(streams.flatMap((stream) => stream.mock.calls)).toEqual([])
    } finally {
      for (const stream of streams) stream.mockRestore()
    }
  })
})

describe('roles in domains', () => {
  const more = '[role_definition]\ng = _, _, _\n'
  const matcher = 'g(r.account, p.account, r.service) && r.name == p.name && r.action == p.action'

  test('count in their own, and the library, which would remember it, is not asked about a domain without roles', async () => {
    const hasLink = spyOn(DefaultRoleManager.prototype, 'syncedHasLink')
    try {
      const { create } = await rulesOf(modelOf(matcher, { more }), 'p, dev, x, pull\ng, alice, dev, registry\n')
      const rules = await create()
      hasLink.mockClear()
      expect(await granted(rules, {})).toEqual(['pull'])
      expect(await granted(rules, { service: 'other' })).toEqual([])
      expect(await granted(rules, { account: 'dev', service: 'other' })).toEqual(['pull'])
      expect(hasLink.mock.calls).toEqual([['alice', 'dev', 'registry']])
    } finally {
      hasLink.mockRestore()
    }
  })
})

describe('files of Casbin that cannot be used', () => {
  const model = modelOf('r.account == p.account && r.name == p.name')
  const line = 'p, alice, x, pull\n'

  test.each([
    ['a model that is none', 'hello', line, 'MODEL: parse the content error : line 1'],
    ['a model that lacks a section', '[matchers]\nm = true\n', line, 'MODEL: missing required sections'],
    [
      'a model of another request',
      modelOf('r.sub == p.account', { request: 'sub, obj, act' }),
      line,
      'MODEL: [request_definition] must have the 7 values account, type, name, service, ip, action, labels',
    ],
    ['a matcher that is no expression', modelOf('r.account == ('), line, 'MODEL: '],
    [
      'a matcher with an unknown function',
      modelOf('magic(r.name, p.name)'),
      line,
      'MODEL: [matchers] calls magic, which is no function',
    ],
    [
      'a matcher that runs text of the client',
      modelOf('eval(r.name)'),
      line,
      'MODEL: [matchers] must not eval a value of the request',
    ],
    ['an effect that is none', model.replace('allow))', 'maybe))'), line, 'MODEL: unsupported effect'],
    [
      'a line with a value too few',
      model,
      `# rules\n\n${line}p, alice, x\n`,
      'POLICY:4: p has 3 values in the model, and 2 here',
    ],
    [
      'a line with a value too many',
      model,
      'p, alice, x, pull, deny\n',
      'POLICY:1: p has 3 values in the model, and 4 here',
    ],
    ['a line of an unknown kind', model, 'P, alice, x, pull\n', 'POLICY:1: the model has no definition for this line'],
    [
      'a role where the model has none',
      model,
      'g, alice, dev\n',
      'POLICY:1: the model has no definition for this line',
    ],
    ['a line that is no CSV', model, 'p, "alice, x, pull\n', 'POLICY:1: '],
  ])('%s: says where at the start', async (_, modelText, policyText, expected) => {
    const files = await rulesOf(modelText, policyText)
    const error = await files.create().catch((cause: unknown) => cause)
    const text = error instanceof Error ? error.message : `no error: ${error}`
    expect(text).toContain(`casbin_authz: ${expected.replace('MODEL', files.model).replace('POLICY', files.policy)}`)
  })

  test('one that is missing is named at the start', async () => {
    const files = await rulesOf(model, line)
    await rm(files.policy)
    const error = await files.create().catch((cause: unknown) => cause)
    expect(error instanceof Error && error.message).toMatch(/^casbin_authz: ENOENT/)
    expect(error instanceof Error && error.message).toContain(files.policy)
  })

  test('a policy without rules is one that grants nothing by them', async () => {
    const files = await rulesOf(modelOf('r.account == "admin" || r.account == p.account && r.name == p.name'), '')
    const rules = await files.create()
    expect(await granted(rules, {})).toEqual([])
    expect(await granted(rules, { account: 'admin' })).toEqual(['pull'])
  })
})

describe('files of Casbin that change', () => {
  async function start() {
    const files = await rulesOf(
      modelOf('r.account == p.account && r.name == p.name && r.action == p.action'),
      'p, alice, x, pull\n',
    )
    const write = async (path: string, text: string) => {
      await writeFile(`${path}.new`, text)
      await rename(`${path}.new`, path)
    }
    return { ...files, rules: await files.create(), write }
  }
  const asked = { actions: ['pull', 'push'] }

  test('count at once', async () => {
    const { rules, policy, model, write, warnings } = await start()
    expect(await granted(rules, asked)).toEqual(['pull'])
    await write(policy, 'p, alice, x, push\n')
    expect(await granted(rules, asked)).toEqual(['push'])
    await write(model, modelOf('r.account == p.account'))
    expect(await Promise.all([granted(rules, asked), granted(rules, asked)])).toEqual([asked.actions, asked.actions])
    expect(warnings).toEqual([])
  })

  test('and are broken leave the rules before, with one warning, until they are right again', async () => {
    const { rules, policy, write, warnings } = await start()
    await write(policy, 'p, alice\n')
    for (let i = 0; i < 3; i++) expect(await granted(rules, asked)).toEqual(['pull'])
    expect(warnings).toEqual([
      [
        'the rules of Casbin cannot be read again: those before stay',
        { problem: `casbin_authz: ${policy}:1: p has 3 values in the model, and 1 here` },
      ],
    ])
    await write(policy, 'p, alice, x, push\n')
    expect(await granted(rules, asked)).toEqual(['push'])
    await write(policy, 'p, alice\n')
    expect(await granted(rules, asked)).toEqual(['push'])
    expect(warnings).toHaveLength(2)
  })

  test('and are missing leave the rules before, until they are there again', async () => {
    const { rules, model, warnings } = await start()
    await copyFile(model, `${model}.kept`)
    await rm(model)
    for (let i = 0; i < 3; i++) expect(await granted(rules, asked)).toEqual(['pull'])
    expect(warnings).toHaveLength(1)
    expect(String(warnings[0]?.[1].problem)).toContain('ENOENT')
    await writeFile(model, modelOf('r.account == p.account'))
    expect(await granted(rules, asked)).toEqual(['pull', 'push'])
  })
})
