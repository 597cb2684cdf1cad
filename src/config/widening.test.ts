// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the placeholders of filters
import { describe, expect, test } from 'bun:test'
import { lines, loadText, loadTokenServerText } from './fixtures/load-text.ts'

const SERVER = 'server: {addr: ":5001"}\ntoken: {issuer: I, expiration: 900}\n'
const HASH = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'

describe('what would let more people in than was meant is refused', () => {
  const rows: [string, Parameters<typeof loadText>[0]][] = [
    ['a misspelt password of a user', { authFile: `${SERVER}users: {a: {pasword: "${HASH}"}}\nacl: []\n` }],
    ['a user written twice', { authFile: `${SERVER}users:\n  a: {password: "${HASH}"}\n  a: {}\nacl: []\n` }],
    ['users written twice', { authFile: `${SERVER}users: {}\nusers: {a: {}}\nacl: []\n` }],
    ['rules written twice', { authFile: `${SERVER}users: {}\nacl: []\nacl: [{match: {}, actions: ["*"]}]\n` }],
    [
      'a misspelt organization, without which everybody may sign in',
      { authFile: `${SERVER}github_auth: {client_id: c, client_secret: s, organisation: o}\nacl: []\n` },
    ],
    ['a misspelt domain', { authFile: `${SERVER}google_auth: {client_id: c, client_secret: s, domian: d}\nacl: []\n` }],
    ['a password that a template left empty', { authFile: `${SERVER}users: {a: {password: }}\nacl: []\n` }],
    ['an empty password of the anonymous client', { authFile: `${SERVER}users: {"": {password: ~}}\nacl: []\n` }],
    ['auth.none that says no', { env: { REGISTRY_AUTH_NONE: 'false' } }],
    ['auth.none that is empty', { env: { REGISTRY_AUTH_NONE: '' } }],
    ['a misspelt auth', { file: 'version: 0.1\natuh: {htpasswd: {realm: r, path: /p}}\nstorage: {filesystem: {}}\n' }],
    ['a capital Auth', { file: 'version: 0.1\nAuth: {htpasswd: {realm: r, path: /p}}\nstorage: {filesystem: {}}\n' }],
    [
      'auth written twice',
      { file: 'version: 0.1\nauth: {htpasswd: {realm: r, path: /p}}\nauth: none\nstorage: {filesystem: {}}\n' },
    ],
    [
      'auth in a second document',
      { file: 'version: 0.1\nstorage: {filesystem: {}}\n---\nauth: {htpasswd: {realm: r, path: /p}}\n' },
    ],
    ...['tokensever', 'token_server', 'Token-Server', 'tokenServers'].map((key): [string, { file: string }] => [
      `${key}, without which the registry is open`,
      { file: `version: 0.1\nstorage: {filesystem: {}}\n${key}: {users: {}}\n` },
    ]),
    [
      'tokenserver written twice',
      {
        file: 'version: 0.1\nstorage: {filesystem: {}}\ntokenserver: {accounts: true}\ntokenserver: {accounts: true}\n',
      },
    ],
    ...['TOKENSEVER_ACCOUNTS', 'TOKEN_SERVER_ACCOUNTS'].map((name): [string, Parameters<typeof loadText>[0]] => [
      `a misspelt tokenserver in a variable: ${name}`,
      { file: 'version: 0.1\nstorage: {filesystem: {}}\n', env: { [`REGISTRY_${name}`]: 'true' } },
    ]),
    [
      'a misspelt auth in a variable',
      { file: 'version: 0.1\nstorage: {filesystem: {}}\n', env: { REGISTRY_AUHT_HTPASSWD_PATH: '/p' } },
    ],
  ]
  test.each(rows)('%s', (_, input) => {
    const { config, problems } = loadText(input)
    expect({ config, refused: problems.length > 0 }).toEqual({ config: undefined, refused: true })
  })
})

describe("unknown keys of docker_auth's file that may hold a limit, a secret, or a key of Berth's own are refused", () => {
  const app = 'client_id: c, client_secret: s'
  const ldap = 'addr: "l:389", base: "dc=x", filter: "(uid=${account})"'
  const oidc = 'issuer: "https://i.example", redirect_url: "https://r.example/oidc_auth"'
  const dial = (more: string) => `{dial_info: {addrs: [a], database: d, ${more}}, collection: c}`
  const rows: [key: string, text: string][] = [
    ['github_auth.org', `github_auth: {org: acme, ${app}}`],
    ['github_auth.allowed_orgs', `github_auth: {allowed_orgs: acme, ${app}}`],
    ['github_auth.team', `github_auth: {team: acme, ${app}}`],
    ['github_auth.registy_url', `github_auth: {registy_url: r, ${app}}`],
    ['gitlab_auth.group', `gitlab_auth: {group: acme, ${app}}`],
    ['google_auth.hd', `google_auth: {hd: acme.example, ${app}}`],
    ['oidc_auth.user_clam', `oidc_auth: {user_clam: sub, ${oidc}, ${app}}`],
    ['oidc_auth.allowed_domains', `oidc_auth: {allowed_domains: [x], ${oidc}, ${app}}`],
    ['ldap_auth.tsl', `ldap_auth: {tsl: always, ${ldap}}`],
    ['ldap_auth.initial_bind_as_usr', `ldap_auth: {initial_bind_as_usr: true, ${ldap}}`],
    ['ldap_auth.labels.groups.atribute', `ldap_auth: {labels: {groups: {attribute: a, atribute: b}}, ${ldap}}`],
    ['mongo_auth.dial_info.enable_tsl', `mongo_auth: ${dial('enable_tsl: true')}`],
    ['acl_mongo.dial_info.ssl', `acl_mongo: ${dial('ssl: true')}`],
    ['throttle.per_account', 'throttle: {per_account: 3}'],
    ['throttle.peracount', 'throttle: {peracount: 3}'],
    ['throttle.burst', 'throttle: {burst: 3}'],
    ['audit.keeep', 'audit: {keeep: 1h}'],
    ['throtle', 'throtle: {enabled: true}'],
    ['audti', 'audti: {rows: 5}'],
    ['aclmode', 'aclmode: union'],
    ['acounts', 'acounts: true'],
    ['htpaswd', 'htpaswd: {path: /x}'],
    ['ext_auth.time_out', 'ext_auth: {command: /bin/true, time_out: 1s}'],
    ['ext_authz.max_children', 'ext_authz: {command: /bin/true, max_children: 1}'],
  ]
  const users = `users: {a: {password: "${HASH}"}}\nacl: []\n`
  test.each(rows)('%s', (key, text) => {
    const { config, problems } = loadTokenServerText({ authFile: `${SERVER}${users}${text}\n` })
    expect({ config, problems: lines(problems) }).toEqual({
      config: undefined,
      problems: [`auth_config.yml:5: ${key}: is an unknown key`],
    })
  })

  test.each([
    ['server.trusted_proxies', SERVER.replace('addr:', 'trusted_proxies: ["10.0.0.0/8"], addr:')],
    ['token.refreshtoken', SERVER.replace('issuer:', 'refreshtoken: never, issuer:')],
    ['token.key_id', SERVER.replace('issuer:', 'key_id: rfc7638, issuer:')],
  ])('%s', (key, server) => {
    const { config, problems } = loadTokenServerText({ authFile: `${server}${users}` })
    expect({ config, problems: problems.map(({ path }) => path) }).toEqual({ config: undefined, problems: [key] })
  })

  test('others are warnings, as the original passes over them', () => {
    const more = `foo: 1\nconstructor: {a: 1, a: 2}\ngithub_auth: {${app}, token_db: /x, level_token_db: {pth: /x}}\n`
    const { config, problems, warnings } = loadTokenServerText({ authFile: `${SERVER}${users}${more}` })
    expect(lines(problems)).toEqual([])
    expect(config?.tokenServer.signIn).toHaveLength(1)
    expect(warnings.map(({ path }) => path)).toEqual([
      'constructor.a',
      'foo',
      'constructor',
      'github_auth.token_db',
      'github_auth.level_token_db',
      'github_auth.level_token_db.pth',
    ])
  })
})
