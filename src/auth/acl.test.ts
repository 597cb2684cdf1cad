// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the placeholders of rules
import { describe, expect, test } from 'bun:test'
import { type AclEntry, type AclRequest, aclProblems, compileAcl, decide } from './acl.ts'
import { type Labels, UnavailableError } from './authenticator.ts'
import { parseAddress, parsePeer } from './ip.ts'

type Match = AclEntry['match']

function entry(match: Match, actions: string[] = ['*'], where = 'auth_config.yml:1'): AclEntry {
  return { match, actions, comment: undefined, where }
}

interface Asked extends Partial<Omit<AclRequest, 'ip'>> {
  ip?: string
}

function request({ ip, ...rest }: Asked): AclRequest {
  const address = ip === undefined ? undefined : parseAddress(ip)
  return {
    account: 'foo',
    type: 'bar',
    name: 'baz',
    service: 'notary',
    labels: {},
    actions: ['x'],
    ...rest,
    ip: address,
  }
}

function matched(match: Match, asked: Asked): boolean {
  return decide(compileAcl([entry(match)]), request(asked)).rule === 0
}

const ai2: Labels = { group: ['admins', 'VIP'] }
const ai3: Labels = { group: ['admins', 'VIP'], project: ['api', 'frontend'] }
const mail = '/^(.+)@test\\.com$/'
const twoParts = '/^(.+)@(.+?).test\\.com$/'

/** docker_auth's own table (authz/acl_test.go) and its neighbours. */
const rows: [string, Match, Asked, boolean][] = [
  ['M1: no conditions match everybody', {}, {}, true],
  ['M2: the type differs', { account: 'foo', type: 'baz' }, {}, false],
  ['M3: an expression is found anywhere', { account: 'fo?', type: 'b*', name: '/z$/' }, {}, true],
  ['M4: an expression may be anchored', { account: 'fo?', type: 'b*', name: '/^z/' }, {}, false],
  ['M5: case matters', { account: 'foo' }, { account: 'Foo' }, false],
  ['M6: an empty account is the client without credentials', { account: '' }, { account: '' }, true],
  ['M6: and nobody else', { account: '' }, { account: 'foo' }, false],
  ['M7: a star is everybody, the anonymous client too', { account: '*' }, { account: '' }, true],
  ['M7: a star is everybody with a name', { account: '*' }, { account: 'a' }, true],
  ['M7: a star takes no slash', { account: '*' }, { account: 'a/b' }, false],
  ['M8: ?* is not the anonymous client', { account: '?*' }, { account: '' }, false],
  ['M8: ?* is everybody with a name', { account: '?*' }, { account: 'a' }, true],
  ['M9: /.+/ is not the anonymous client', { account: '/.+/' }, { account: '' }, false],
  ['M9: /.+/ is everybody with a name', { account: '/.+/' }, { account: 'a' }, true],
  ['M10: a folder', { name: 'foo/*' }, { name: 'foo/bar' }, true],
  ['M10: a folder and nothing', { name: 'foo/*' }, { name: 'foo/' }, true],
  ['M10: a folder in a folder', { name: 'foo/*' }, { name: 'foo/a/b' }, false],
  ['M10: the folder itself', { name: 'foo/*' }, { name: 'foo' }, false],
  ['M11: two stars take no slash either', { name: 'foo/**' }, { name: 'foo/a/b' }, false],
  ['M12: an expression without anchors', { name: '/foo/' }, { name: 'xfooy' }, true],
  ['M13: two slashes are a glob', { name: '//' }, { name: '//' }, true],
  ['M13: two slashes are no empty expression', { name: '//' }, { name: 'abc' }, false],
  ['M14: an exclamation mark does not negate', { name: '[!a]x' }, { name: 'bx' }, false],
  ['M14: it is one of the class', { name: '[!a]x' }, { name: 'ax' }, true],
  ['M15: a malformed glob matches nothing', { name: '[a' }, { name: 'a' }, false],
  ['M16: an escaped star', { name: 'foo\\*' }, { name: 'foo*' }, true],
  ['M16: takes nothing else', { name: 'foo\\*' }, { name: 'foox' }, false],
  ['M17: the account is inserted', { name: '${account}' }, { name: 'foo' }, true],
  ['M18: the account in an expression', { name: '/${account}_.*/' }, { name: 'foo_x' }, true],
  ['M18: is plain text there', { name: '/${account}_.*/' }, { account: '.*', name: 'foo_x' }, false],
  ['M19: and in a glob', { name: '${account}/*' }, { account: 'j*hn', name: 'j*hn/a' }, true],
  ['M19: not a pattern', { name: '${account}/*' }, { account: 'j*hn', name: 'john/a' }, false],
  [
    'M20: a capture group is inserted',
    { account: mail, name: '${account:1}/*' },
    { account: 'john.smith@test.com', name: 'john.smith/test' },
    true,
  ],
  [
    'M21: a group that is not there stays as it is',
    { account: mail, name: '${account:3}/*' },
    { account: 'john.smith@test.com', name: 'john.smith/test' },
    false,
  ],
  [
    'M22: two groups',
    { account: twoParts, name: '${account:1}-${account:2}/*' },
    { account: 'john.smith@it.test.com', name: 'john.smith-it/test' },
    true,
  ],
  [
    'M23: a captured text is a pattern',
    { account: '/^(.+)@x$/', name: '/^${account:1}/.*/' },
    { account: 'a.b@x', name: 'aZb/c' },
    true,
  ],
  // On purpose not docker_auth's answer: its finder loses a group that follows another placeholder.
  [
    'M24: a group behind another placeholder is inserted, as the documentation says',
    { account: '/^(.+)@x$/', name: '${account}/${account:1}' },
    { account: 'a@x', name: 'a@x/a' },
    true,
  ],
  [
    'M25: and one before it',
    { account: '/^(.+)@x$/', name: '${account:1}/${account}' },
    { account: 'a@x', name: 'a/a@x' },
    true,
  ],
  [
    'M26: a group of the name in the account',
    { name: '/^([^/]+)/.+$/', account: '${name:1}' },
    { account: 'team1', name: 'team1/app' },
    true,
  ],
  [
    'M26: somebody else',
    { name: '/^([^/]+)/.+$/', account: '${name:1}' },
    { account: 'bob', name: 'team1/app' },
    false,
  ],
  ['M27: service and type', { service: 'notary', type: 'bar' }, {}, true],
  ['M27: another type', { service: 'notary', type: 'baz' }, {}, false],
  ['M27: another service', { service: 'notary1' }, {}, false],
  ['M28: an address, of a client without one', { ip: '127.0.0.1' }, {}, false],
  ['M28: the address', { ip: '127.0.0.1' }, { ip: '127.0.0.1' }, true],
  ['M28: another address', { ip: '127.0.0.1' }, { ip: '127.0.0.2' }, false],
  ['M29: a block', { ip: '127.0.0.0/8' }, { ip: '127.0.0.2' }, true],
  ['M30: a block of IPv6', { ip: '2001:db8::/48' }, { ip: '2001:db8::2' }, true],
  ['M31: an IPv6 address, of a client without one', { ip: '2001:db8::1' }, {}, false],
  ['M31: another IPv6 address', { ip: '2001:db8::1' }, { ip: '2001:db8::2' }, false],
  ['M32: IPv6 is in no block of IPv4', { ip: '0.0.0.0/0' }, { ip: '::1' }, false],
  ['M32: IPv4 is in no block of IPv6', { ip: '::/0' }, { ip: '127.0.0.1' }, false],
  ['M33: IPv4 in the clothes of IPv6', { ip: '127.0.0.1' }, { ip: '::ffff:127.0.0.1' }, true],
  ['M34: bits behind the prefix do not count', { ip: '10.0.0.5/8' }, { ip: '10.9.9.9' }, true],
  ['M35: a label of a user without any', { labels: { foo: 'bar' } }, {}, false],
  ['M35: a label that the user lacks', { labels: { foo: 'bar' } }, { labels: ai2 }, false],
  ['M36: one of the values', { labels: { group: 'admins' } }, { labels: ai2 }, true],
  ['M36: another of the values', { labels: { group: 'VIP' } }, { labels: ai2 }, true],
  ['M36: a glob for a value', { labels: { group: 'a*' } }, { labels: ai2 }, true],
  ['M36: an expression for a value', { labels: { group: '/(admins|VIP)/' } }, { labels: ai2 }, true],
  ['M37: all labels must match', { labels: { foo: 'bar', group: 'admins' } }, { labels: ai2 }, false],
  ['M38: a star is no label that is missing', { labels: { foo: '*' } }, {}, false],
  ['M38: a star is an empty value', { labels: { foo: '*' } }, { labels: { foo: [''] } }, true],
  [
    'M39: the account in the pattern of a label',
    { labels: { owner: '${account}' } },
    { labels: { owner: ['foo'] } },
    true,
  ],
  [
    'M40: no labels in the pattern of a label',
    { labels: { a: '${labels:b}' } },
    { labels: { a: ['x'], b: ['x'] } },
    false,
  ],
  ['M41: a label of a user without any', { name: '${labels:group}/*' }, {}, false],
  ['M41: one of the values in the name', { name: '${labels:group}/*' }, { name: 'admins/foo', labels: ai3 }, true],
  ['M42: a label that nobody has', { name: '${labels:noexist}/*' }, { name: 'admins/foo', labels: ai3 }, false],
  ['M43: two labels', { name: '${labels:group}/${labels:project}' }, { name: 'VIP/api', labels: ai3 }, true],
  [
    'M43: values that the user lacks',
    { name: '${labels:group}/${labels:project}' },
    { name: 'devs/api', labels: ai3 },
    false,
  ],
  [
    'M44: one label of two is missing',
    { name: '${labels:group}/${labels:noexist}' },
    { name: 'VIP/api', labels: ai3 },
    false,
  ],
  [
    'M45: a value is a pattern',
    { name: '${labels:full-access}' },
    { name: 'test/a', labels: { 'full-access': ['test/*'] } },
    true,
  ],
  [
    'M45: and matches no more',
    { name: '${labels:full-access}' },
    { name: 'prod/a', labels: { 'full-access': ['test/*'] } },
    false,
  ],
  ['M46: a label without values', { name: '${labels:g}/*' }, { name: 'x/y', labels: { g: [] } }, false],
  // M47 (an unknown key in `match`) cannot be: the configuration refuses it, where docker_auth lets everybody in.
  ['what was inserted is not looked at again', { name: '${account}' }, { account: '${type}', name: 'bar' }, false],
  ['a name of the language is no label', { labels: { constructor: '*' } }, {}, false],
  ['an expression that a label breaks matches nothing', { name: '/${labels:g}/' }, { labels: { g: ['('] } }, false],
]

describe('a rule', () => {
  test.each(rows)('%s', (_, match, asked, expected) => {
    expect(matched(match, asked)).toBe(expected)
  })

  test('with more combinations of labels than can be tried is no answer, rather than a late one', () => {
    const many = Array.from({ length: 200 }, (_, i) => `v${i}`)
    const name = '${labels:a}/${labels:b}/${labels:c}'
    const labels = { a: many, b: many, c: many }
    expect(() => matched({ name }, { name: many.join('.'), labels })).toThrow(UnavailableError)
    // Values that the text does not hold are not tried.
    expect(matched({ name }, { name: 'v7/v8/v9', labels })).toBe(true)
    expect(matched({ name }, { name: 'x', labels })).toBe(false)
  })
})

describe('rules', () => {
  const Z1 = [entry({ name: 'foo' }, ['pull']), entry({ account: 'admin' }, ['*'])]
  const reference = [
    entry({ ip: '127.0.0.0/8' }, ['*']),
    entry({ account: 'admin' }, ['*']),
    entry({ account: 'test', name: 'test-*' }, ['push']),
    entry({ account: '', name: 'hello-world' }, ['pull']),
  ]
  const decisions: [string, AclEntry[], Asked, string[]][] = [
    ['Z1: the first that matches decides', Z1, { account: 'admin', name: 'foo', actions: ['push'] }, []],
    ['Z2: the next, where it does not match', Z1, { account: 'admin', name: 'bar', actions: ['push'] }, ['push']],
    [
      'Z3: nothing is a grant, too',
      [entry({ account: 'test' }, []), entry({})],
      { account: 'test', actions: ['pull'] },
      [],
    ],
    ['Z4: a star is what was asked: a star', [entry({})], { actions: ['*'] }, ['*']],
    [
      'Z4: a star is what was asked, sorted',
      [entry({})],
      { actions: ['delete', 'pull', 'push'] },
      ['delete', 'pull', 'push'],
    ],
    ['Z4: a star is what was asked: any word', [entry({})], { actions: ['frob'] }, ['frob']],
    ['Z4: a star keeps duplicates and nothing', [entry({})], { actions: ['', 'pull', 'pull'] }, ['', 'pull', 'pull']],
    ['Z5: a star among others is a word', [entry({}, ['*', 'pull'])], { actions: ['pull', 'push'] }, ['pull']],
    ['Z5: which can be asked for', [entry({}, ['*', 'pull'])], { actions: ['*'] }, ['*']],
    ['Z6: who asks for everything gets nothing of a part', [entry({}, ['pull', 'push'])], { actions: ['*'] }, []],
    ['Z7: push alone', [entry({}, ['push'])], { actions: ['pull', 'push'] }, ['push']],
    [
      'Z8: later rules do not add',
      [entry({ account: '/.+/' }, ['pull']), entry({ account: 'bob' })],
      { account: 'bob', actions: ['push'] },
      [],
    ],
    ['Z9: no rules grant nothing', [], { actions: ['pull'] }, []],
    ['Z14: a rule for an address', reference, { account: 'x', ip: '127.0.0.1', actions: ['push'] }, ['push']],
    [
      'Z13: test pushes to test-app',
      reference,
      { account: 'test', name: 'test-app', ip: '10.0.0.1', actions: ['push'] },
      ['push'],
    ],
    [
      'Z13: and pulls nothing else',
      reference,
      { account: 'test', name: 'other', ip: '10.0.0.1', actions: ['pull'] },
      [],
    ],
    ['Z13: anonymous pulls hello-world', reference, { account: '', name: 'hello-world', actions: ['pull'] }, ['pull']],
    ['Z13: anonymous pulls nothing else', reference, { account: '', name: 'other', actions: ['pull'] }, []],
    ['duplicates are asked once', [entry({}, ['pull'])], { actions: ['pull', 'pull'] }, ['pull']],
    ['user02 of the first document gets nothing', [entry({}, [''])], { actions: ['pull'] }, []],
    ['but the empty action, if asked', [entry({}, [''])], { actions: [''] }, ['']],
  ]
  test.each(decisions)('%s', (_, entries, asked, expected) => {
    expect(decide(compileAcl(entries), request(asked)).actions).toEqual(expected)
  })

  test('the decision names its rule', () => {
    expect(decide(compileAcl(Z1), request({ account: 'admin', name: 'bar' })).rule).toBe(1)
    expect(decide(compileAcl(Z1), request({ account: 'bob', name: 'bar' })).rule).toBeUndefined()
  })

  test('V10, V11: every problem is told, with its place', () => {
    const bad = [
      entry({ account: '/foo?*/', ip: '192.168.0.1/100' }, [], 'a.yml:3'),
      entry({ ip: 'foo' }, [], 'a.yml:9'),
      entry({ labels: { team: '/(/' } }, [], 'a.yml:12'),
      entry({ ip: '2001:db8::/222' }, [], 'a.yml:15'),
    ]
    const problems = aclProblems(bad)
    expect(problems).toHaveLength(5)
    expect(problems[0]).toStartWith(
      'a.yml:3: invalid ACL: entry 0, invalid match conditions: invalid pattern "/foo?*/": invalid regex pattern: ',
    )
    expect(problems[1]).toStartWith('a.yml:3: invalid ACL: entry 0, invalid match conditions: invalid IP pattern: ')
    expect(problems[3]).toContain('invalid match pattern "/(/" for label team: ')
    expect(() => compileAcl(bad)).toThrow('a.yml:15')
  })

  test('V12: addresses and blocks are fine', () => {
    const good = ['192.168.0.1', '192.168.0.0/16', '2001:db8::1', '2001:db8::/48'].map((ip) => entry({ ip }))
    expect(aclProblems(good)).toEqual([])
  })
})

test.each([
  ['1.2.3.4', '1.2.3.4'],
  ['1.2.3.4:9', '1.2.3.4'],
  ['2001:db8::1', '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1'],
  ['[2001:db8::1]:443', '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['[::ffff:a00:1]:1', '10.0.0.1'],
  ['1:2:3:4:5:6:7:8', '0.1.0.2.0.3.0.4.0.5.0.6.0.7.0.8'],
  ['::', '0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0'],
  ['foo', undefined],
  ['', undefined],
  ['01.2.3.4', undefined],
  ['1.2.3', undefined],
  ['1.2.3.256', undefined],
  ['fe80::1%eth0', undefined],
  ['[fe80::1%eth0]:1', undefined],
])('the peer %s is %s', (text, expected) => {
  expect(parsePeer(text)?.join('.')).toBe(expected)
})
