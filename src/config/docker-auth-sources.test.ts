import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MongoConfig, SignInConfig, TokenServerConfig } from './config.ts'
import { lines, loadText, loadTokenServerText } from './fixtures/load-text.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-sources-'))
afterAll(() => rmSync(folder, { recursive: true }))
const secretFile = join(folder, 'secret')
writeFileSync(secretFile, 's3cret\n')
const emptyFile = join(folder, 'empty')
writeFileSync(emptyFile, '\n')
const program = join(folder, 'program')
writeFileSync(program, '#!/bin/sh\n')
const missing = join(folder, 'missing')

/** Of docker_auth's file; what a row adds begins on line 3. */
const base = 'server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 900}\n'
const rules = 'acl: []\n'
const load = (text: string) => loadTokenServerText({ authFile: `${base}${text}\n${rules}` })
const problemsOf = (text: string) => lines(load(text).problems).map((line) => line.replace(/^auth_config\.yml:/, ''))
const warningsOf = (text: string) => lines(load(text).warnings).map((line) => line.replace(/^auth_config\.yml:/, ''))

const app = 'client_id: i, client_secret: s'
const dial = 'dial_info: {addrs: ["h:1"], database: d}, collection: c'
const client = {
  clientId: 'i',
  clientSecret: 's',
  clientSecretFile: undefined,
  httpTimeoutMs: 10_000,
  registryUrl: undefined,
}
const mongo: MongoConfig = {
  addrs: ['h:1'],
  database: 'd',
  collection: 'c',
  username: undefined,
  password: undefined,
  passwordFile: undefined,
  enableTls: false,
  timeoutMs: 10_000,
}
const github: SignInConfig = {
  ...client,
  kind: 'github',
  organization: undefined,
  webUri: 'https://github.com',
  apiUri: 'https://api.github.com',
  revalidateAfterMs: 0,
}
const gitlab: SignInConfig = {
  ...client,
  kind: 'gitlab',
  organization: undefined,
  webUri: 'https://gitlab.com',
  apiUri: 'https://gitlab.com/api/v4',
  redirectUri: undefined,
  revalidateAfterMs: 0,
}
const oidc: SignInConfig = {
  ...client,
  kind: 'oidc',
  issuer: 'https://i.example/',
  redirectUrl: 'https://r.example/oidc_auth',
  userClaim: 'email',
  labelsClaims: [],
  scopes: ['openid', 'email'],
}
const oidcKeys = `issuer: "https://i.example/", redirect_url: "https://r.example/oidc_auth", ${app}`

const values: [sentence: string, text: string, pick: (c: TokenServerConfig) => unknown, expected: unknown][] = [
  ['a htpasswd file', 'htpasswd: {path: /h}', (c) => [c.htpasswd, c.users, c.databaseUsers], ['/h', undefined, false]],
  [
    'a program found in PATH',
    'ext_auth: {command: sh, args: [-c, 1]}',
    (c) => c.extAuth,
    { command: 'sh', args: ['-c', '1'], timeoutMs: 10_000, maxChildren: 8 },
  ],
  [
    "a program's own keys",
    'ext_auth: {command: /bin/sh, timeout: 1m30s, maxchildren: 2}',
    (c) => c.extAuth,
    { command: '/bin/sh', args: [], timeoutMs: 90_000, maxChildren: 2 },
  ],
  [
    'sign-in stands in the order of the original, not of the file',
    `gitlab_auth: {${app}}\noidc_auth: {${oidcKeys}}\ngithub_auth: {${app}}\ngoogle_auth: {${app}, domain: d.example}`,
    (c) => c.signIn,
    [{ ...client, kind: 'google', domain: 'd.example' }, github, oidc, gitlab],
  ],
  [
    'a GitHub of its own',
    `github_auth: {${app}, organization: o, http_timeout: 3s, revalidate_after: 2h, github_web_uri: "https://g.example/", github_api_uri: "https://g.example/api/v3/", registry_url: r.example}`,
    (c) => c.signIn[0],
    {
      ...github,
      organization: 'o',
      httpTimeoutMs: 3000,
      revalidateAfterMs: 7_200_000,
      webUri: 'https://g.example',
      apiUri: 'https://g.example/api/v3',
      registryUrl: 'r.example',
    },
  ],
  [
    'a GitLab of its own',
    `gitlab_auth: {${app}, organization: g, grant_type: authorization_code, redirect_uri: "https://r.example/gitlab_auth", gitlab_web_uri: "https://l.example", gitlab_api_uri: "https://l.example/api/v4", http_timeout: 0}`,
    (c) => c.signIn[0],
    {
      ...gitlab,
      organization: 'g',
      webUri: 'https://l.example',
      apiUri: 'https://l.example/api/v4',
      redirectUri: 'https://r.example/gitlab_auth',
    },
  ],
  [
    'every key of OpenID Connect',
    `oidc_auth: {${oidcKeys}, user_claim: sub, labels_claims: [groups], scopes: [openid, groups], registry_url: r.example}`,
    (c) => c.signIn[0],
    { ...oidc, userClaim: 'sub', labelsClaims: ['groups'], scopes: ['openid', 'groups'], registryUrl: 'r.example' },
  ],
  [
    'labels_claims by the name that the documentation of the original gives it',
    `oidc_auth: {${oidcKeys}, label_claims: [groups]}`,
    (c) => c.signIn[0],
    { ...oidc, labelsClaims: ['groups'] },
  ],
  [
    'the secret of an application in a file',
    `google_auth: {client_id: i, client_secret_file: ${secretFile}}`,
    (c) => c.signIn[0],
    { ...client, kind: 'google', domain: undefined, clientSecret: undefined, clientSecretFile: secretFile },
  ],
  ['the least of MongoDB', `mongo_auth: {${dial}}`, (c) => c.mongoUsers, mongo],
  [
    'every key of MongoDB',
    'mongo_auth: {dial_info: {addrs: [a, "[::1]:2"], timeout: 3s, database: d, username: u, password: p, enable_tls: true}, collection: c}',
    (c) => c.mongoUsers,
    { ...mongo, addrs: ['a', '[::1]:2'], timeoutMs: 3000, username: 'u', password: 'p', enableTls: true },
  ],
  [
    'users of an SQL database',
    'xorm_auth: {database_type: mysql, conn_string: "u:p@/d"}',
    (c) => c.sqlUsers,
    { type: 'mysql', connection: 'u:p@/d' },
  ],
  ['accounts of Berth beside others', 'users: {}\naccounts: true', (c) => [c.databaseUsers, c.users], [true, {}]],
  ['no accounts of Berth beside others', 'users: {}', (c) => c.databaseUsers, false],
]

describe('sources of users', () => {
  test.each(values)('%s', (_, text, pick, expected) => {
    const { config, problems, warnings } = load(text)
    expect([...lines(problems), ...lines(warnings)]).toEqual([])
    expect(config && pick(config.tokenServer)).toEqual(expected)
  })

  const tokenServer: [sentence: string, text: string, expected: boolean][] = [
    ['without any source, accounts of Berth log in', '{}', true],
    ['a source of users is the whole truth', '{users: {}}', false],
    ['a source of another kind is too', '{htpasswd: {path: /h}}', false],
    ['unless accounts are asked for', '{htpasswd: {path: /h}, accounts: true}', true],
  ]
  test.each(tokenServer)('tokenserver: %s', (_, text, expected) => {
    const { config, problems } = loadText({ file: `version: 0.1\nstorage: {filesystem: {}}\ntokenserver: ${text}\n` })
    expect(lines(problems)).toEqual([])
    expect(config?.tokenServer?.databaseUsers).toBe(expected)
  })

  test('a section of the registry that lets nobody in is refused', () => {
    const { problems } = loadText({ file: 'version: 0.1\nstorage: {filesystem: {}}\ntokenserver: {accounts: false}\n' })
    expect(lines(problems)).toEqual([
      'config.yml:3: tokenserver.accounts: no auth methods are configured, this is probably a mistake',
    ])
  })
})

const required = (section: string, keys: string) => `${section}.{${keys},level_token_db.path} are required`
const notExecutable = `bad ext_auth config: invalid command "${program}": exec: "${program}": permission denied`
const refusals: [sentence: string, text: string, problems: string[]][] = [
  ['a htpasswd file without a path', 'htpasswd: {}', ['3: htpasswd.path: htpasswd.path is required']],
  [
    'a program that is not in PATH',
    'ext_auth: {command: no-such-program}',
    [
      '3: ext_auth.command: bad ext_auth config: invalid command "no-such-program": exec: "no-such-program": executable file not found in $PATH',
    ],
  ],
  [
    'a program that is not there',
    `ext_auth: {command: ${missing}}`,
    [
      `3: ext_auth.command: bad ext_auth config: invalid command "${missing}": exec: "${missing}": stat ${missing}: no such file or directory`,
    ],
  ],
  ['a program that cannot be run', `ext_auth: {command: ${program}}`, [`3: ext_auth.command: ${notExecutable}`]],
  [
    'a folder for a program',
    `ext_auth: {command: ${folder}}`,
    [`3: ext_auth.command: bad ext_auth config: invalid command "${folder}": exec: "${folder}": is a directory`],
  ],
  [
    'limits of a program that are none',
    'ext_auth: {command: sh, timeout: 0, maxchildren: 0}',
    ['3: ext_auth.maxchildren: must be at least 1', '3: ext_auth.timeout: must be more than 0'],
  ],
  ...['google_auth', 'github_auth', 'gitlab_auth'].map((key): [string, string, string[]] => [
    `${key} without an application`,
    `${key}: {}`,
    [`3: ${key}.client_id: ${required(key, 'client_id,client_secret')}`],
  ]),
  [
    'OpenID Connect without anything',
    'oidc_auth: {}',
    [`3: oidc_auth.issuer: ${required('oidc_auth', 'issuer,redirect_url,client_id,client_secret')}`],
  ],
  [
    'an application without a secret',
    'google_auth: {client_id: i}',
    [`3: google_auth.client_secret: ${required('google_auth', 'client_id,client_secret')}`],
  ],
  [
    'a secret twice',
    `google_auth: {${app}, client_secret_file: ${secretFile}}`,
    [
      '3: google_auth.client_secret_file: is given besides client_secret, and it is not clear which of the two is meant',
    ],
  ],
  [
    'the file of a secret that is not there',
    `google_auth: {client_id: i, client_secret_file: ${missing}}`,
    [`3: google_auth.client_secret_file: could not read ${missing}: it is not there`],
  ],
  [
    'the file of a secret that is empty',
    `google_auth: {client_id: i, client_secret_file: ${emptyFile}}`,
    [`3: google_auth.client_secret_file: could not read ${emptyFile}: it is empty`],
  ],
  [
    'another grant of GitLab',
    `gitlab_auth: {${app}, grant_type: password}`,
    ['3: gitlab_auth.grant_type: "password" is no grant for sign-in in a browser'],
  ],
  [
    'addresses that are none',
    `github_auth: {${app}, github_api_uri: g.example}\noidc_auth: {${oidcKeys.replace('https://i.example/', 'https://u:p4ss@i.example/')}}`,
    ['3: github_auth.github_api_uri: is no URL', '4: oidc_auth.issuer: is no URL'],
  ],
  [
    'scopes without openid',
    `oidc_auth: {${oidcKeys}, scopes: [email]}`,
    ['3: oidc_auth.scopes: do not hold openid, without which a provider says nothing of who signed in'],
  ],
  [
    'MongoDB without anything',
    'mongo_auth: {}',
    [
      '3: mongo_auth.dial_info.addrs: At least one element in mongo_auth.dial_info.addrs is required',
      '3: mongo_auth.dial_info.database: mongo_auth.dial_info.database is required',
      '3: mongo_auth.collection: mongo_auth.collection is required',
    ],
  ],
  [
    'a password of MongoDB without a user, and in an address',
    'mongo_auth: {dial_info: {addrs: ["u:p4ss@h"], database: d, password: p4ss}, collection: c}',
    [
      '3: mongo_auth.dial_info.addrs[0]: is not HOST:PORT',
      '3: mongo_auth.dial_info.username: is missing, but there is a password',
    ],
  ],
  [
    'an SQL database without anything',
    'xorm_auth: {}',
    ['database_type', 'conn_string'].map((key) => `3: xorm_auth.${key}: xorm_auth.${key} is required`),
  ],
  [
    'another SQL database',
    'xorm_auth: {database_type: mssql, conn_string: c}',
    ['3: xorm_auth.database_type: "mssql" is no kind of database that Berth reads'],
  ],
  [
    'a plug-in',
    'plugin_authn: {plugin_path: x.so}',
    ['3: plugin_authn: bad plugin_authn config: plug-ins of Go cannot be loaded'],
  ],
  [
    'a duration that is none, and one that is too long for a timer',
    `google_auth: {${app}, http_timeout: 25h}\ngithub_auth: {${app}, revalidate_after: soon}\ngitlab_auth: {${app}, http_timeout: -1s}`,
    [
      '3: google_auth.http_timeout: must be at most 24h',
      '4: github_auth.revalidate_after: "soon" is no duration; write one such as 10s or 2h45m',
      '5: gitlab_auth.http_timeout: must not be negative',
    ],
  ],
]

describe('refusals of sources of users', () => {
  chmodSync(program, 0o600)
  test.each(refusals)('%s', (_, text, expected) => {
    expect(problemsOf(text).sort()).toEqual([...expected].sort())
  })
})

const warnings: [sentence: string, text: string, warnings: string[]][] = [
  [
    'a token database of the original',
    `google_auth: {${app}, level_token_db: {path: /t, token_hash_cost: 5}}\ngithub_auth: {${app}, gcs_token_db: {bucket: b}}\noidc_auth: {${oidcKeys}, redis_token_db: {redis_options: {addr: r}}}`,
    [
      '3: google_auth.level_token_db: this key has no effect in Berth',
      '4: github_auth.gcs_token_db: this key has no effect in Berth',
      '5: oidc_auth.redis_token_db: this key has no effect in Berth',
    ],
  ],
  [
    'options of MongoDB that the original ignores',
    'mongo_auth: {dial_info: {addrs: [h], database: d, direct: true, failfast: false, source: s, service: s, mechanism: m}, collection: c}',
    ['direct', 'source', 'service', 'mechanism'].map(
      (key) => `3: mongo_auth.dial_info.${key}: this key has no effect in Berth`,
    ),
  ],
  [
    'a password of MongoDB twice',
    'mongo_auth: {dial_info: {addrs: [h], database: d, username: u, password: p, password_file: /p}, collection: c}',
    ['3: mongo_auth.dial_info.password: is not used: the file of password_file is'],
  ],
  [
    'both names of labels_claims',
    `oidc_auth: {${oidcKeys}, labels_claims: [], label_claims: [g]}`,
    ['3: oidc_auth.label_claims: has no effect beside labels_claims'],
  ],
]

describe('warnings about sources of users', () => {
  test.each(warnings)('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([])
    expect(warningsOf(text)).toEqual(expected)
  })

  test('people who must sign in again are told so', () => {
    const { warnings: found } = load(`google_auth: {${app}, level_token_db: {path: /t}}`)
    expect(found.map(({ fix }) => fix)).toEqual(['Berth keeps tokens in its own database; people sign in once more.'])
  })
})
