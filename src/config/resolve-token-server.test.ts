import { describe, expect, test } from 'bun:test'
import type { TokenServerConfig } from './config.ts'
import { lines, loadText, loadTokenServerText } from './fixtures/load-text.ts'

/** docker_auth's file with more keys of `server` and `token`, and more sections from line 5 on. */
const load = ({ server = '', token = '', more = '' }) =>
  loadTokenServerText({
    authFile: `server: {addr: ":1"${server}}\ntoken: {issuer: A, expiration: 9${token}}\nusers: {}\nacl: []\n${more}\n`,
  })
const tls = ', certificate: c, key: k'
const found = (result: ReturnType<typeof load>) =>
  lines([...result.problems, ...result.warnings]).map((line) => line.replace(/^auth_config\.yml:/, ''))

const HOUR = 3_600_000
type Input = Parameters<typeof load>[0]
const values: [sentence: string, input: Input, pick: (c: TokenServerConfig) => unknown, expected: unknown][] = [
  [
    'suites by name, by old name and by number, each once',
    {
      server: `${tls}, tls_cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305, 0xc02f, "49199", TLS_RSA_WITH_AES_128_CBC_SHA]`,
    },
    (c) => c.tls?.ciphers,
    'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
  ],
  [
    'curves by name and by number',
    { server: `${tls}, tls_curve_preferences: [X25519, 23, P384, P521]` },
    (c) => c.tls?.curves,
    'X25519:P-256:P-384:P-521',
  ],
  [
    'empty lists leave every safe one',
    { server: `${tls}, tls_curve_preferences: [], tls_cipher_suites: []` },
    (c) => c.tls,
    { certificate: 'c', key: 'k', minVersion: 'TLSv1.2' },
  ],
  ['kid for registry 3 by its own key', { token: ', keyid: rfc7638' }, (c) => c.keyId, 'rfc7638'],
  [
    'both keys of kid that say the same',
    { token: ', keyid: rfc7638, disable_legacy_key_id: true' },
    (c) => c.keyId,
    'rfc7638',
  ],
  [
    'refresh tokens',
    { token: ', refreshtokens: always, refreshexpiration: 48h' },
    (c) => c.refreshTokens,
    { issue: 'always', lifeMs: 48 * HOUR },
  ],
  ['refresh tokens where nothing is said', {}, (c) => c.refreshTokens, { issue: 'auto', lifeMs: 90 * 24 * HOUR }],
  [
    'proxies that are believed',
    { server: ', trustedproxies: [10.0.0.0/8, 192.0.2.1, "2001:db8::1"]' },
    (c) => c.trustedProxies,
    ['10.0.0.0/8', '192.0.2.1/32', '2001:db8::1/128'],
  ],
  [
    'a throttle of its own',
    { more: 'throttle: {enabled: false, peraccount: 1, peraddress: 2, window: 30s}' },
    (c) => c.throttle,
    { enabled: false, perAccount: 1, perAddress: 2, windowMs: 30_000 },
  ],
  [
    'a throttle of which only one word is said',
    { more: 'throttle: {peraccount: 9}' },
    (c) => c.throttle,
    { enabled: true, perAccount: 9, perAddress: 50, windowMs: 300_000 },
  ],
  [
    'an audit log of its own',
    { more: 'audit: {file: /a.log, keep: 24h, rows: 10}' },
    (c) => c.audit,
    { file: '/a.log', keepMs: 24 * HOUR, keepRows: 10 },
  ],
]

describe('keys of a token server', () => {
  test.each(values)('%s', (_, input, pick, expected) => {
    const result = load(input)
    expect(found(result)).toEqual([])
    expect(result.config && pick(result.config.tokenServer)).toEqual(expected)
  })

  test('variables reach the own keys', () => {
    const env = {
      REGISTRY_TOKENSERVER_TOKEN_REFRESHTOKENS: 'never',
      REGISTRY_TOKENSERVER_TOKEN_KEYID: 'rfc7638',
      REGISTRY_TOKENSERVER_SERVER_TRUSTEDPROXIES: '[10.0.0.0/8]',
      REGISTRY_TOKENSERVER_THROTTLE_PERACCOUNT: '7',
      REGISTRY_TOKENSERVER_AUDIT_KEEP: '1h',
      REGISTRY_TOKENSERVER_HTPASSWD_PATH: '/h',
      REGISTRY_TOKENSERVER_ACCOUNTS: 'true',
      REGISTRY_TOKENSERVER_ACL_MODE: 'union',
      REGISTRY_TOKENSERVER_ACL: '[]',
      REGISTRY_TOKENSERVER_LDAP_AUTH_ADDR: 'h',
      REGISTRY_TOKENSERVER_LDAP_AUTH_BASE: 'o',
      REGISTRY_TOKENSERVER_LDAP_AUTH_FILTER: `(uid=\${account})`,
      REGISTRY_TOKENSERVER_LDAP_AUTH_LABELS_GROUPS_ATTRIBUTE: 'memberOf',
      REGISTRY_TOKENSERVER_XORM_AUTH_DATABASE_TYPE: 'mysql',
      REGISTRY_TOKENSERVER_XORM_AUTH_CONN_STRING: 'u:p@/d',
    }
    const { config, problems, warnings } = loadText({ env })
    expect(lines([...problems, ...warnings])).toEqual([])
    expect(config?.tokenServer).toMatchObject({
      refreshTokens: { issue: 'never' },
      keyId: 'rfc7638',
      trustedProxies: ['10.0.0.0/8'],
      throttle: { perAccount: 7 },
      audit: { keepMs: HOUR },
      htpasswd: '/h',
      databaseUsers: true,
      aclMode: 'union',
      acl: [],
      ldap: { servers: [{ host: 'h', port: 389 }], labels: { groups: { attribute: 'memberOf' } } },
      sqlUsers: { type: 'mysql', connection: 'u:p@/d' },
    })
  })
})

const findings: [sentence: string, input: Input, lines: string[]][] = [
  [
    'a word that is no suite',
    { server: `${tls}, tls_cipher_suites: [AES128-SHA]` },
    ['1: server.tls_cipher_suites[0]: "AES128-SHA" is no cipher suite'],
  ],
  [
    'a number that is too large',
    { server: `${tls}, tls_cipher_suites: [65536]` },
    ['1: server.tls_cipher_suites[0]: "65536" is no cipher suite'],
  ],
  [
    'suites of which one is offered to nobody',
    { server: `${tls}, tls_cipher_suites: [TLS_RSA_WITH_RC4_128_SHA, 0xc02f, 0x1301]` },
    [
      '1: server.tls_cipher_suites[0]: TLS_RSA_WITH_RC4_128_SHA is not offered any more',
      '1: server.tls_cipher_suites[2]: 0x1301 belongs to TLS 1.3, whose suites are always offered',
    ],
  ],
  [
    'suites that leave none',
    { server: `${tls}, tls_cipher_suites: [TLS_AES_128_GCM_SHA256]` },
    [
      '1: server.tls_cipher_suites: leaves no suite for TLS 1.2',
      '1: server.tls_cipher_suites[0]: TLS_AES_128_GCM_SHA256 belongs to TLS 1.3, whose suites are always offered',
    ],
  ],
  [
    'a word that is no curve',
    { server: `${tls}, tls_curve_preferences: [P256, P-384]` },
    ['1: server.tls_curve_preferences[1]: "P-384" is no curve that can be offered'],
  ],
  [
    'two keys of kid that contradict each other',
    { token: ', keyid: libtrust, disable_legacy_key_id: true' },
    ['2: token.keyid: says libtrust, but disable_legacy_key_id says rfc7638'],
  ],
  [
    'and the other way round',
    { token: ', keyid: rfc7638, disable_legacy_key_id: false' },
    ['2: token.keyid: says rfc7638, but disable_legacy_key_id says libtrust'],
  ],
  [
    'words that are no choice',
    { token: ', keyid: md5, refreshtokens: sometimes, x5c: maybe' },
    [
      '2: token.keyid: must be one of libtrust, rfc7638',
      '2: token.x5c: must be one of auto, always, never',
      '2: token.refreshtokens: must be one of auto, always, never',
    ],
  ],
  [
    'refresh tokens that never live',
    { token: ', refreshexpiration: 0s' },
    ['2: token.refreshexpiration: must be more than 0'],
  ],
  [
    'proxies that are no addresses',
    { server: ', trustedproxies: [10.0.0.0/33, proxy.example, "fe80::1%eth0"]' },
    [
      '1: server.trustedproxies[0]: "10.0.0.0/33" is no CIDR block',
      '1: server.trustedproxies[1]: "proxy.example" is no CIDR block',
      '1: server.trustedproxies[2]: "fe80::1%eth0" is no CIDR block',
    ],
  ],
  [
    'a throttle that lets nobody in',
    { more: 'throttle: {peraccount: 0, peraddress: -1, window: 5}' },
    [
      '5: throttle.peraccount: must be at least 1',
      '5: throttle.peraddress: must be at least 1',
      '5: throttle.window: a number without a unit is nanoseconds, so this is 1ms',
    ],
  ],
  [
    'an audit log that keeps nothing',
    { more: 'audit: {keep: 0s, rows: 0}' },
    ['5: audit.rows: must be at least 1', '5: audit.keep: must be more than 0'],
  ],
  ['accounts that are no boolean', { more: 'accounts: 1' }, ['5: accounts: must be true or false, not a number']],
]

describe('what is wrong with keys of a token server', () => {
  test.each(findings)('%s', (_, input, expected) => {
    expect(found(load(input))).toEqual(expected)
  })
})
