import { describe, expect, test } from 'bun:test'
import type { LdapConfig, TokenServerConfig } from './config.ts'
import { lines, loadTokenServerText } from './fixtures/load-text.ts'
import type { Problem } from './problem.ts'

/** Of docker_auth's file; what a row adds begins on line 3. */
const base = 'server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 900}\n'
const load = (text: string) => loadTokenServerText({ authFile: `${base}${text}\nacl: []\n` })
const short = (found: readonly Problem[]) => lines(found).map((line) => line.replace(/^auth_config\.yml:/, ''))

const ldap = `addr: h, base: o, filter: "(uid=\${account})"`
const ldapConfig: LdapConfig = {
  servers: [{ host: 'h', port: 389 }],
  tls: 'none',
  insecureTlsSkipVerify: false,
  caCertificate: undefined,
  bindDn: '',
  bindPasswordFile: undefined,
  initialBindAsUser: false,
  base: 'o',
  filter: `(uid=\${account})`,
  labels: {},
  timeoutMs: 10_000,
}
const servers = (c: TokenServerConfig) => [c.ldap?.servers.map(({ host, port }) => `${host} ${port}`), c.ldap?.tls]
const addr = (text: string, more = '') => `ldap_auth: {${ldap.replace('addr: h', `addr: "${text}"`)}${more}}`

const values: [sentence: string, text: string, pick: (c: TokenServerConfig) => unknown, expected: unknown][] = [
  ['the least of LDAP', `ldap_auth: {${ldap}}`, (c) => c.ldap, ldapConfig],
  [
    'every key of LDAP',
    `ldap_auth: {${ldap}, tls: starttls, insecure_tls_skip_verify: true, ca_certificate: /ca, bind_dn: cn=r, bind_password_file: /p, timeout: 2s, labels: {groups: {attribute: memberOf, parse_cn: true, lower_case: true}, mail: {attribute: mail}}}`,
    (c) => c.ldap,
    {
      ...ldapConfig,
      tls: 'starttls',
      insecureTlsSkipVerify: true,
      caCertificate: '/ca',
      bindDn: 'cn=r',
      bindPasswordFile: '/p',
      timeoutMs: 2000,
      labels: {
        groups: { attribute: 'memberOf', parseCn: true, lowerCase: true },
        mail: { attribute: 'mail', parseCn: false, lowerCase: false },
      },
    },
  ],
  [
    'LDAP that searches as the person',
    `ldap_auth: {${ldap}, initial_bind_as_user: true, bind_dn: "uid=\${account},o"}`,
    (c) => [c.ldap?.initialBindAsUser, c.ldap?.bindDn],
    [true, `uid=\${account},o`],
  ],
  ['port 636 is encrypted', addr('h:636'), servers, [['h 636'], 'always']],
  ['port 636 is not encrypted where the file says so', addr('h:636', ', tls: none'), servers, [['h 636'], 'none']],
  ['an encrypted server is at port 636', addr('h', ', tls: always'), servers, [['h 636'], 'always']],
  ['STARTTLS is at port 389', addr('h', ', tls: starttls'), servers, [['h 389'], 'starttls']],
  ['an empty tls is none', addr('h', ', tls: ""'), servers, [['h 389'], 'none']],
  [
    'several servers, separated by commas and spaces',
    addr('a, b:390 , [2001:db8::1] [::1]:1389,c:ldap'),
    servers,
    [['a 389', 'b 390', '2001:db8::1 389', '::1 1389', 'c 389'], 'none'],
  ],
]

describe('LDAP', () => {
  test.each(values)('%s', (_, text, pick, expected) => {
    const { config, problems, warnings } = load(text)
    expect(short([...problems, ...warnings])).toEqual([])
    expect(config && pick(config.tokenServer)).toEqual(expected)
  })
})

const refusals: [sentence: string, text: string, problems: string[]][] = [
  [
    'LDAP without anything',
    'ldap_auth: {}',
    ['addr', 'base', 'filter'].map((key) => `3: ldap_auth.${key}: ldap_auth.${key} is required`),
  ],
  [
    'a filter that finds everyone',
    'ldap_auth: {addr: h, base: o, filter: "(objectClass=person)"}',
    [`3: ldap_auth.filter: does not hold \${account}, so everyone would be found, whoever logs in`],
  ],
  ['another kind of encryption', addr('h', ', tls: ssl'), ['3: ldap_auth.tls: must be one of none, starttls, always']],
  [
    'encryption that is not clear',
    addr('a:636,b'),
    ['3: ldap_auth.addr: only some servers are at port 636, so it is not clear whether passwords are to be encrypted'],
  ],
  ['a URL of LDAP', addr('ldaps://h'), ['3: ldap_auth.addr: is a URL, not an address']],
  ['IPv6 without brackets', addr('2001:db8::1'), ['3: ldap_auth.addr: too many colons in the address']],
  ['no port', addr('h:0'), ['3: ldap_auth.addr: "0" is no port']],
  ['no host', addr('u:p@h:389'), ['3: ldap_auth.addr: has an address that is not HOST:PORT']],
  ['no address of IPv4', addr('10.0.0:389'), ['3: ldap_auth.addr: has an address that is not HOST:PORT']],
  ['nothing but separators', addr(','), ['3: ldap_auth.addr: ldap_auth.addr is required']],
  [
    'a search with a name and no password',
    `ldap_auth: {${ldap}, bind_dn: cn=r}`,
    ['3: ldap_auth.bind_password_file: ldap_auth.bind_password_file is required'],
  ],
  [
    'a search as the person without a place for the name',
    `ldap_auth: {${ldap}, bind_dn: cn=r, initial_bind_as_user: true}`,
    [`3: ldap_auth.bind_dn: does not hold \${account}, which initial_bind_as_user needs`],
  ],
  [
    'a place for the name that nothing fills in',
    `ldap_auth: {${ldap}, bind_dn: "uid=\${account}", bind_password_file: /p}`,
    [`3: ldap_auth.bind_dn: holds \${account}, which is filled in only with initial_bind_as_user: true`],
  ],
  [
    'a label without an attribute',
    `ldap_auth: {${ldap}, labels: {g: {}}}`,
    ['3: ldap_auth.labels.g.attribute: ldap_auth.labels.g.attribute is required'],
  ],
]

describe('refusals of LDAP', () => {
  test.each(refusals)('%s', (_, text, expected) => {
    expect(short(load(text).problems)).toEqual(expected)
  })
})

const warnings: [sentence: string, text: string, warnings: string[]][] = [
  [
    'a duration without a unit',
    `ldap_auth: {${ldap}, timeout: 10}`,
    ['3: ldap_auth.timeout: a number without a unit is nanoseconds, so this is 1ms'],
  ],
  ['a duration in nanoseconds that somebody meant', `ldap_auth: {${ldap}, timeout: 5000000000}`, []],
  [
    'a password that nobody reads',
    `ldap_auth: {${ldap}, bind_password_file: /p}`,
    ['3: ldap_auth.bind_password_file: is not read: without bind_dn the search is anonymous'],
  ],
]

describe('warnings about LDAP', () => {
  test.each(warnings)('%s', (_, text, expected) => {
    const result = load(text)
    expect(short(result.problems)).toEqual([])
    expect(short(result.warnings)).toEqual(expected)
  })
})
