import { describe, expect, test } from 'bun:test'
import type { TokenServerConfig } from './config.ts'
import { lines, loadTokenServerText } from './fixtures/load-text.ts'

const server = 'server: {addr: ":5001"}\n'
const token = 'token: {issuer: A, expiration: 900}\n'
const users = 'users: {}\n'
const acl = 'acl: []\n'
const noLogin =
  'no auth methods are configured, this is probably a mistake. Use an empty user map if you really want to deny everyone'
const noRules = 'ACL is empty, this is probably a mistake. Use an empty list if you really want to deny all actions'
const match = (text: string) => `${server}${token}${users}acl:\n  - match: {${text}}\n    actions: []\n`
const invalid = 'invalid ACL: entry 0, invalid match conditions: '

const golden: [sentence: string, file: string, problems: string[]][] = [
  ['V1: no address', `server: {}\n${token}${users}${acl}`, ['auth_config.yml:1: server.addr: server.addr is required']],
  [
    'V2: another network',
    `server: {addr: ":1", net: udp}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.net: server.net must be unix or tcp'],
  ],
  [
    'V3: a prefix without slash',
    `server: {addr: ":1", path_prefix: x}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.path_prefix: server.path_prefix must be an absolute path'],
  ],
  [
    'V4: suites of TLS 1.3',
    `server: {addr: ":1", tls_min_version: TLS13, tls_cipher_suites: [X]}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.tls_cipher_suites: TLS 1.3 ciphersuites are not configurable'],
  ],
  [
    'V5: no issuer',
    `${server}token: {expiration: 1}\n${users}${acl}`,
    ['auth_config.yml:2: token.issuer: token.issuer is required'],
  ],
  [
    'V6: no expiration',
    `${server}token: {issuer: A}\n${users}${acl}`,
    ['auth_config.yml:2: token.expiration: expiration must be positive, got 0'],
  ],
  [
    'V6: a negative expiration',
    `${server}token: {issuer: A, expiration: -1}\n${users}${acl}`,
    ['auth_config.yml:2: token.expiration: expiration must be positive, got -1'],
  ],
  [
    'V6: a duration is no number of seconds',
    `${server}token: {issuer: A, expiration: 900s}\n${users}${acl}`,
    ['auth_config.yml:2: token.expiration: must be a whole number, not a text'],
  ],
  ['V7: no way to log in', `${server}${token}${acl}`, [`auth_config.yml:1: users: ${noLogin}`]],
  ['V7: users that are null', `${server}${token}users:\n${acl}`, [`auth_config.yml:3: users: ${noLogin}`]],
  ['V7: an empty map of users', `${server}${token}${users}${acl}`, []],
  ['V8: no rules', `${server}${token}${users}`, [`auth_config.yml:1: acl: ${noRules}`]],
  [
    'V8: casbin alone counts as rules, which the original forgets',
    `${server}${token}${users}casbin_authz: {model_path: m, policy_path: p}\n`,
    [],
  ],
  ['V8: an empty list of rules', `${server}${token}${users}${acl}`, []],
  [
    'V9: a program without a command',
    `${server}${token}${acl}ext_auth: {}\n`,
    ['auth_config.yml:4: ext_auth.command: bad ext_auth config: command is not set'],
  ],
  ...['account', 'type', 'name', 'service'].map((key): [string, string, string[]] => [
    `V10: a bad expression for ${key}`,
    match(`${key}: "/foo?*/"`),
    [
      `auth_config.yml:5: acl[0].match.${key}: ${invalid}invalid pattern "/foo?*/": invalid regex pattern: error parsing regexp: invalid nested repetition operator: \`?*\``,
    ],
  ]),
  [
    'V10: a bad expression for a label',
    match('labels: {group: "/foo?*/"}'),
    [
      `auth_config.yml:5: acl[0].match.labels.group: ${invalid}invalid match pattern "/foo?*/" for label group: invalid regex pattern: error parsing regexp: invalid nested repetition operator: \`?*\``,
    ],
  ],
  // An empty one, too: without its condition the rule would match everybody.
  ...['192.168.0.1/100', '192.168.0.*', 'foo', '2001:db8::/222', ''].map((ip): [string, string, string[]] => [
    `V11: "${ip}" is no address`,
    match(`ip: "${ip}"`),
    [`auth_config.yml:5: acl[0].match.ip: ${invalid}invalid IP pattern: invalid CIDR address: ${ip}`],
  ]),
  ...['192.168.0.1', '192.168.0.0/16', '2001:db8::1', '2001:db8::/48'].map((ip): [string, string, string[]] => [
    `V12: ${ip} is an address`,
    match(`ip: "${ip}"`),
    [],
  ]),
  [
    'V13: a certificate of the server without key',
    `server: {addr: ":1", certificate: c}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.certificate: failed to load server cert and key: both were not provided'],
  ],
  [
    'V13: a key for tokens without certificate',
    `${server}token: {issuer: A, expiration: 1, key: k}\n${users}${acl}`,
    ['auth_config.yml:2: token.key: failed to load token cert and key: both were not provided'],
  ],
  ['V14: no certificate at all means that Berth makes its own', `${server}${token}${users}${acl}`, []],
  [
    'V15: ACME without a folder',
    `server: {addr: ":1", letsencrypt: {email: a}}\n${token}${users}${acl}`,
    [
      'auth_config.yml:1: server.letsencrypt.cache_dir: server.letsencrypt.cache_dir is required',
      'auth_config.yml:1: server.letsencrypt.host: server.letsencrypt.host is required',
    ],
  ],
  [
    'everything at once',
    'server: {net: udp}\n',
    [
      'auth_config.yml:1: server.addr: server.addr is required',
      'auth_config.yml:1: token.issuer: token.issuer is required',
      `auth_config.yml:1: users: ${noLogin}`,
      `auth_config.yml:1: acl: ${noRules}`,
      'auth_config.yml:1: server.net: server.net must be unix or tcp',
      'auth_config.yml:1: token.expiration: expiration must be positive, got 0',
    ],
  ],
  [
    'a rule without match',
    `${server}${token}${users}acl:\n  - actions: []\n`,
    ['auth_config.yml:5: acl[0]: has no match'],
  ],
  [
    'a rule whose match is null',
    `${server}${token}${users}acl:\n  - match:\n    actions: []\n`,
    ['auth_config.yml:5: acl[0]: has no match'],
  ],
  [
    'a rule without actions',
    `${server}${token}${users}acl:\n  - match: {}\n`,
    ['auth_config.yml:5: acl[0].actions: is missing'],
  ],
  [
    'a rule whose actions are no list',
    `${server}${token}${users}acl:\n  - match: {}\n    actions: pull\n`,
    ['auth_config.yml:6: acl[0].actions: must be a list, not a text'],
  ],
  [
    'an unknown condition',
    match('team: infra'),
    ['auth_config.yml:5: acl[0].match.team: is no condition; without it the rule would match more than was meant'],
  ],
  [
    'a condition twice',
    `${server}${token}${users}acl:\n  - match:\n      account: a\n      account: b\n    actions: []\n`,
    ['auth_config.yml:7: acl[0].match.account: stands twice in the same map (first on line 6); the last one counts'],
  ],
  [
    'an unknown version of TLS',
    `server: {addr: ":1", tls_min_version: "1.2"}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.tls_min_version: "1.2" is no version of TLS'],
  ],
]

describe("docker_auth's refusals", () => {
  test.each(golden)('%s', (_, authFile, expected) => {
    const result = loadTokenServerText({ authFile })
    expect(lines(result.problems)).toEqual(expected)
    expect(result.config === undefined).toBe(expected.length > 0)
  })
})

const values: [sentence: string, file: string, pick: (config: TokenServerConfig) => unknown, expected: unknown][] = [
  [
    'no certificate: a pair of its own',
    `${server}${token}${users}${acl}`,
    (c) => [c.certificate, c.key, c.tls],
    [undefined, undefined, undefined],
  ],
  [
    "the server's pair signs tokens",
    `server: {addr: ":1", certificate: c, key: k}\n${token}${users}${acl}`,
    (c) => [c.certificate, c.key, c.tls],
    ['c', 'k', { certificate: 'c', key: 'k', minVersion: 'TLSv1.2' }],
  ],
  [
    "the token's pair beats the server's",
    `server: {addr: ":1", certificate: c, key: k}\ntoken: {issuer: A, expiration: 1, certificate: d, key: l}\n${users}${acl}`,
    (c) => [c.certificate, c.key, c.tls?.key],
    ['d', 'l', 'k'],
  ],
  [
    'a socket',
    `server: {addr: /run/a.sock, net: unix}\n${token}${users}${acl}`,
    (c) => c.listen,
    { kind: 'unix', path: '/run/a.sock' },
  ],
  [
    'the address of the client',
    `server: {addr: ":1", real_ip_header: X-Forwarded-For, real_ip_pos: -2, hsts: true, path_prefix: /p}\n${token}${users}${acl}`,
    (c) => [c.realIpHeader, c.realIpPos, c.hsts, c.pathPrefix],
    ['X-Forwarded-For', -2, true, '/p'],
  ],
  [
    'a version of TLS by number',
    `server: {addr: ":1", tls_min_version: 0x0304, certificate: c, key: k}\n${token}${users}${acl}`,
    (c) => c.tls?.minVersion,
    'TLSv1.3',
  ],
  [
    'an older version of TLS becomes 1.2',
    `server: {addr: ":1", tls_min_version: TLS10, certificate: c, key: k}\n${token}${users}${acl}`,
    (c) => c.tls?.minVersion,
    'TLSv1.2',
  ],
  [
    'keys of tokens',
    `${server}token: {issuer: A, expiration: 5, disable_legacy_key_id: true, x5c: never}\n${users}${acl}`,
    (c) => [c.expiration, c.keyId, c.x5c],
    [5, 'rfc7638', 'never'],
  ],
  [
    'a user is a hash, or anyone, or nobody',
    `${server}${token}users: {"": {}, open: {}, nul: , bad: {password: plain, labels: {g: [a]}}, 12: {password: ""}}\n${acl}`,
    (c) => c.users,
    {
      '': { passwordHash: undefined, labels: {} },
      open: { passwordHash: undefined, labels: {} },
      bad: { passwordHash: 'plain', labels: { g: ['a'] } },
      '12': { passwordHash: '', labels: {} },
    },
  ],
  [
    'a condition that is empty is not one that is missing',
    match('account: "", name: '),
    (c) => c.acl?.[0]?.match,
    { account: '', name: undefined, type: undefined, service: undefined, ip: undefined, labels: undefined },
  ],
  [
    'placeholders in expressions',
    match(`account: "/^(.+)@x$/", name: "/^\${account:1}/.*/", labels: {a: "\${account}"}`),
    (c) => c.acl?.[0]?.match.name,
    `/^\${account:1}/.*/`,
  ],
  [
    'a rule keeps its comment and its line',
    `${server}${token}${users}acl:\n  - {match: {}, actions: ["*", pull], comment: c}\n`,
    (c) => c.acl?.map(({ actions, comment }) => ({ actions, comment })),
    [{ actions: ['*', 'pull'], comment: 'c' }],
  ],
]

describe("docker_auth's values", () => {
  test.each(values)('%s', (_, authFile, pick, expected) => {
    const { config, problems } = loadTokenServerText({ authFile })
    expect(lines(problems)).toEqual([])
    expect(config && pick(config.tokenServer)).toEqual(expected)
  })

  test('a login that JavaScript gives a meaning finds no user and no label', () => {
    const { config } = loadTokenServerText({ authFile: `${server}${token}users: {a: {}}\n${acl}` })
    expect(config?.tokenServer.users?.constructor).toBeUndefined()
    expect(config?.tokenServer.users?.a?.labels.constructor).toBeUndefined()
  })
})

const warnings: [sentence: string, file: string, warnings: string[]][] = [
  [
    'V16: unknown keys are passed over, with a warning',
    `${server}${token}${users}${acl}foo: 1\n`,
    ['auth_config.yml:5: foo: is an unknown key; it is ignored'],
  ],
  [
    'V16: nested ones too',
    `server: {addr: ":1", adr: 2}\n${token}${users}${acl}`,
    ['auth_config.yml:1: server.adr: is an unknown key; it is ignored'],
  ],
  [
    'a user that is null',
    `${server}${token}users:\n  nul:\n${acl}`,
    ['auth_config.yml:4: users.nul: has no value, so this user does not exist'],
  ],
  [
    'a user whom any password lets in',
    `${server}${token}users:\n  open: {}\n  "": {}\n${acl}`,
    ['auth_config.yml:4: users.open: has no password, so any password is accepted'],
  ],
  [
    'a password in clear',
    `${server}${token}users:\n  bad: {password: plaintext}\n${acl}`,
    ['auth_config.yml:4: users.bad.password: is no bcrypt hash, so no password can match'],
  ],
  [
    'an empty password',
    `${server}${token}users:\n  bad: {password: ""}\n${acl}`,
    ['auth_config.yml:4: users.bad.password: is no bcrypt hash, so no password can match'],
  ],
  [
    'a hash of each version',
    `${server}${token}users:\n${['2a', '2b', '2y'].map((v) => `  u${v}: {password: "$${v}$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}\n`).join('')}${acl}`,
    [],
  ],
  [
    'a malformed glob',
    match('name: "[a"'),
    ['auth_config.yml:5: acl[0].match.name: "[a" is a malformed pattern, so the rule never matches'],
  ],
  [
    'a name that no repository has',
    match('name: "Team/*"'),
    ['auth_config.yml:5: acl[0].match.name: "Team/*" can match nothing: the name of a repository has no capitals'],
  ],
  ['a name of another type, which may have others', match('type: x, name: "Team/*"'), []],
  [
    'a condition without value',
    match('account: '),
    ['auth_config.yml:5: acl[0].match.account: has no value, so the rule does not depend on it'],
  ],
]

describe('warnings about a token server', () => {
  test.each(warnings)('%s', (_, authFile, expected) => {
    const result = loadTokenServerText({ authFile })
    expect(result.problems).toEqual([])
    expect(lines(result.warnings)).toEqual(expected)
  })
})
