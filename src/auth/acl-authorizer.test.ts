import { describe, expect, test } from 'bun:test'
import { type AclEntry, type AclRequest, compileAcl } from './acl.ts'
import { authorizeAcl, createAclAuthorizer, explainAcl, sum } from './acl-authorizer.ts'
import { parseAddress } from './ip.ts'

let line = 0
function entry(match: AclEntry['match'], actions: string[], comment?: string): AclEntry {
  return { match, actions, comment, where: `acl.yml:${++line}` }
}

function request(asked: Partial<AclRequest>): AclRequest {
  return {
    account: 'bob',
    type: 'repository',
    name: 'app',
    service: 'reg',
    ip: undefined,
    labels: {},
    actions: ['pull', 'push'],
    ...asked,
  }
}

line = 0
const rules = compileAcl([
  entry({ account: '/.+/' }, ['pull']),
  entry({ account: 'bob', name: 'app' }, ['push']),
  entry({ account: '', name: 'public' }, ['pull']),
  entry({ labels: { group: 'ops' } }, ['*']),
  entry({ account: 'eve' }, []),
])

describe('rules', () => {
  test.each([
    ['Z8: the first that matches decides', 'first-match', {}, ['pull'], 'acl.yml:1'],
    ['in union mode each adds', 'union', {}, ['pull', 'push'], 'acl.yml:1 + acl.yml:2'],
    ['nobody has what nobody has', 'first-match', { account: '', name: 'app' }, undefined, undefined],
    ['nobody has what nobody has, in union mode', 'union', { account: '', name: 'app' }, undefined, undefined],
    [
      'a grant of everything is what was asked',
      'union',
      { account: '', labels: { group: ['ops'] }, actions: ['b', 'a', 'a'] },
      ['b', 'a', 'a'],
      'acl.yml:4',
    ],
    [
      'an empty rule takes nothing away in union mode',
      'union',
      { account: 'eve', actions: ['pull'] },
      ['pull'],
      'acl.yml:1',
    ],
    [
      'rules that match and add nothing are named all the same',
      'union',
      { account: 'eve', actions: ['delete'] },
      [],
      'acl.yml:1 + acl.yml:5',
    ],
  ] as const)('%s', (_, mode, asked, actions, rule) => {
    const ruling = authorizeAcl(rules, request(asked as Partial<AclRequest>), mode)
    expect(ruling).toEqual(actions === undefined ? undefined : { actions: [...actions], rule: rule ?? '' })
  })

  test('in union mode whoever logs in has what a client without credentials has', () => {
    const strangers = compileAcl([entry({ account: '', name: 'public' }, ['pull'])])
    const asked = request({ name: 'public' })
    expect(authorizeAcl(strangers, asked, 'union')?.actions).toEqual(['pull'])
    expect(authorizeAcl(strangers, asked, 'first-match')).toBeUndefined()
    expect(explainAcl(strangers, asked, 'union')[0]).toMatchObject({ lacks: [], actions: ['pull'] })
  })

  test('a sum keeps what was asked where one part is that', () => {
    const asked = ['push', 'pull', 'push']
    expect(sum([['a'], asked], asked)).toBe(asked)
    expect(sum([['b'], ['a', 'b']], asked)).toEqual(['a', 'b'])
  })

  test('`**` crosses slashes in rules of Berth’s own, and is `*` in docker_auth’s', () => {
    const entries = [entry({ name: 'team/**' }, ['*'])]
    const asked = request({ name: 'team/a/b' })
    expect(authorizeAcl(compileAcl(entries, { deep: true }), asked, 'first-match')?.actions).toEqual(['pull', 'push'])
    expect(authorizeAcl(compileAcl(entries), asked, 'first-match')).toBeUndefined()
  })
})

describe('an explanation', () => {
  line = 0
  const acl = compileAcl([
    entry({ account: 'ann', ip: '10.0.0.0/8', name: 'app' }, ['*']),
    entry({ labels: { group: 'ops', tier: '/^gold$/' } }, ['*'], 'operators'),
    entry({ type: 'registry', service: 'other' }, ['*']),
    entry({}, ['pull'], 'everybody'),
    entry({}, ['push']),
  ])
  const asked = request({ ip: parseAddress('192.0.2.7'), labels: { group: ['dev', 'qa'] } })

  test('says what each rule lacked, up to the one that decides', () => {
    expect(explainAcl(acl, asked, 'first-match')).toEqual([
      {
        rule: 'acl.yml:1',
        comment: undefined,
        lacks: [
          { condition: 'account', wanted: 'ann', had: 'bob' },
          { condition: 'ip', wanted: '10.0.0.0/8', had: '192.0.2.7' },
        ],
        actions: [],
      },
      {
        rule: 'acl.yml:2',
        comment: 'operators',
        lacks: [
          { condition: 'label group', wanted: 'ops', had: 'dev, qa' },
          { condition: 'label tier', wanted: '/^gold$/', had: '' },
        ],
        actions: [],
      },
      {
        rule: 'acl.yml:3',
        comment: undefined,
        lacks: [
          { condition: 'type', wanted: 'registry', had: 'repository' },
          { condition: 'service', wanted: 'other', had: 'reg' },
        ],
        actions: [],
      },
      { rule: 'acl.yml:4', comment: 'everybody', lacks: [], actions: ['pull'] },
    ])
  })

  test('goes on to the end in union mode', () => {
    const traces = explainAcl(acl, asked, 'union')
    expect(traces.map(({ rule, actions }) => [rule, actions])).toEqual([
      ['acl.yml:1', []],
      ['acl.yml:2', []],
      ['acl.yml:3', []],
      ['acl.yml:4', ['pull']],
      ['acl.yml:5', ['push']],
    ])
  })

  test('says that an address is not known', () => {
    const [first] = explainAcl(acl, request({}), 'first-match')
    expect(first?.lacks).toContainEqual({ condition: 'ip', wanted: '10.0.0.0/8', had: 'unknown' })
  })

  test('agrees with the decision', () => {
    for (const mode of ['first-match', 'union'] as const) {
      const granted = explainAcl(acl, asked, mode).flatMap(({ actions }) => actions)
      expect([...granted].sort()).toEqual([...(authorizeAcl(acl, asked, mode)?.actions ?? [])])
    }
  })
})

test('a source of rules asks for them each time', async () => {
  let actions = ['pull']
  const source = createAclAuthorizer('acl', async () => compileAcl([entry({}, actions)]))
  expect(await source.authorize(request({}), 'first-match')).toMatchObject({ actions: ['pull'] })
  actions = ['push']
  expect(await source.authorize(request({}), 'first-match')).toMatchObject({ actions: ['push'] })
  expect(await source.explain?.(request({}), 'first-match')).toMatchObject([{ actions: ['push'] }])
})
