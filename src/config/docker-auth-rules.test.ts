import { describe, expect, test } from 'bun:test'
import type { TokenServerConfig } from './config.ts'
import { lines, loadText, loadTokenServerText } from './fixtures/load-text.ts'

/** Of docker_auth's file; what a row adds begins on line 4. */
const base = 'server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 900}\nusers: {}\n'
const load = (text: string) => loadTokenServerText({ authFile: `${base}${text}\n` })
const short = (found: readonly Parameters<typeof lines>[0][number][]) =>
  lines(found).map((line) => line.replace(/^auth_config\.yml:/, ''))
const dial = 'dial_info: {addrs: ["h:1"], database: d}, collection: c'
const mongo = {
  addrs: ['h:1'],
  database: 'd',
  collection: 'c',
  username: undefined,
  password: undefined,
  passwordFile: undefined,
  enableTls: false,
  timeoutMs: 10_000,
}

const values: [sentence: string, text: string, pick: (c: TokenServerConfig) => unknown, expected: unknown][] = [
  [
    'rules of MongoDB, which are used for a minute where the original ends',
    `acl_mongo: {${dial}}`,
    (c) => [c.aclMongo, c.acl],
    [{ ...mongo, cacheTtlMs: 60_000 }, undefined],
  ],
  ['0 is a minute too', `acl_mongo: {${dial}, cache_ttl: 0s}`, (c) => c.aclMongo?.cacheTtlMs, 60_000],
  [
    'rules of an SQL database',
    'acl_xorm: {database_type: postgres, conn_string: "host=h", cache_ttl: 5m}',
    (c) => c.aclSql,
    { type: 'postgres', connection: 'host=h', cacheTtlMs: 300_000 },
  ],
  [
    'rules of a program',
    'ext_authz: {command: sh, args: [x], timeout: 1s, maxchildren: 3}',
    (c) => c.extAuthz,
    { command: 'sh', args: ['x'], timeoutMs: 1000, maxChildren: 3 },
  ],
  ['rules of Casbin', 'casbin_authz: {model_path: m, policy_path: p}', (c) => c.casbin, { model: 'm', policy: 'p' }],
  ['the first rule decides where nothing is said', 'acl: []', (c) => c.aclMode, 'first-match'],
  [
    'rules that add up',
    'acl: [{match: {}, actions: [pull]}]\nacl_mode: union',
    (c) => [c.aclMode, c.acl?.map(({ actions }) => actions)],
    ['union', [['pull']]],
  ],
  [
    'accounts of Berth need no rules, for Berth has some',
    'accounts: true',
    (c) => [c.databaseUsers, c.acl, c.casbin],
    [true, undefined, undefined],
  ],
]

describe('sources of rules', () => {
  test.each(values)('%s', (_, text, pick, expected) => {
    const { config, problems, warnings } = load(text)
    expect(short([...problems, ...warnings])).toEqual([])
    expect(config && pick(config.tokenServer)).toEqual(expected)
  })

  test('accounts of Berth are a way to log in, too', () => {
    const authFile = 'server: {addr: ":1"}\ntoken: {issuer: A, expiration: 9}\naccounts: true\n'
    const { config, problems } = loadTokenServerText({ authFile })
    expect(short(problems)).toEqual([])
    expect(config?.tokenServer).toMatchObject({ databaseUsers: true, users: undefined, acl: undefined })
  })
})

const noRules =
  '1: acl: ACL is empty, this is probably a mistake. Use an empty list if you really want to deny all actions'
const refusals: [sentence: string, text: string, problems: string[]][] = [
  ['accounts: false needs rules', 'accounts: false', [noRules]],
  ['rules that are null are none', 'acl_mongo:', [noRules]],
  [
    'MongoDB without anything',
    'acl_mongo: {cache_ttl: -1s}',
    [
      '4: acl_mongo.dial_info.addrs: At least one element in acl_mongo.dial_info.addrs is required',
      '4: acl_mongo.dial_info.database: acl_mongo.dial_info.database is required',
      '4: acl_mongo.collection: acl_mongo.collection is required',
      '4: acl_mongo.cache_ttl: acl_mongo.cache_ttl is required (e.g. "1m" for 1 minute)',
    ],
  ],
  [
    'an SQL database without anything',
    'acl_xorm: {cache_ttl: -1}',
    [
      '4: acl_xorm.database_type: acl_xorm.database_type is required',
      '4: acl_xorm.conn_string: acl_xorm.conn_string is required',
      '4: acl_xorm.cache_ttl: acl_xorm.cache_ttl is required (e.g. "1m" for 1 minute)',
    ],
  ],
  ['a program without a command', 'ext_authz: {}', ['4: ext_authz.command: bad ext_authz config: command is not set']],
  [
    'Casbin without files',
    'casbin_authz: {}',
    [
      '4: casbin_authz.model_path: casbin_authz.model_path is required',
      '4: casbin_authz.policy_path: casbin_authz.policy_path is required',
    ],
  ],
  [
    'a plug-in',
    'plugin_authz: {plugin_path: x.so}',
    ['4: plugin_authz: bad plugin_authz config: plug-ins of Go cannot be loaded'],
  ],
  ['another mode', 'acl: []\nacl_mode: best', ['5: acl_mode: must be one of first-match, union']],
]

describe('refusals of sources of rules', () => {
  test.each(refusals)('%s', (_, text, expected) => {
    expect(short(load(text).problems)).toEqual(expected)
  })

  test('a plug-in is told what to use instead', () => {
    const { problems } = load('acl: []\nplugin_authn: {}\nplugin_authz: {}')
    expect(problems.map(({ fix }) => fix)).toEqual([
      'Use ext_auth: a program that gets the user and the password.',
      'Use ext_authz: a program that gets the request as JSON.',
    ])
  })
})

describe('warnings about rules', () => {
  test('a rule that takes away has no effect where rules add up', () => {
    const rule = 'acl:\n  - {match: {}, actions: [pull]}\n  - {match: {}, actions: []}\n'
    expect(short(load(`${rule}acl_mode: union`).warnings)).toEqual([
      '6: acl[1].actions: has no effect where acl_mode is union: rules only add, none takes away',
    ])
    expect(short(load(rule).warnings)).toEqual([])
  })

  test('a mode without rules has no effect', () => {
    const file = 'version: 0.1\nstorage: {filesystem: {}}\ntokenserver: {acl_mode: union}\n'
    expect(lines(loadText({ file }).warnings)).toEqual([
      'config.yml:3: tokenserver.acl_mode: has no effect: there are no rules',
    ])
  })
})
