import { describe, expect, test } from 'bun:test'
import type { Config } from './config.ts'
import { lines, loadText } from './fixtures/load-text.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
type Row = [
  sentence: string,
  file: string,
  env: Record<string, string>,
  pick: (config: Config) => unknown,
  expected: unknown,
]

const reaching: Row[] = [
  ['a value is read as YAML', base, { REGISTRY_HTTP_RELATIVEURLS: 'yes' }, (c) => c.http.relativeUrls, true],
  [
    'a list is read as YAML',
    base,
    { REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW: '[^a, ^b]' },
    (c) => c.validation.urls.allow,
    ['^a', '^b'],
  ],
  [
    'a text that is no YAML is taken as it stands',
    base,
    { REGISTRY_HTTP_HOST: 'https://[::1]:5000' },
    (c) => c.http.host,
    'https://[::1]:5000',
  ],
  [
    'a text that looks like a map stays a text',
    base,
    { REGISTRY_METADATA_PATH: 'a: b' },
    (c) => c.data.metadata,
    'a: b',
  ],
  ['a text with a tag stays a text', base, { REGISTRY_METADATA_PATH: '!x' }, (c) => c.data.metadata, '!x'],
  [
    'a number where a text is wanted stays as written',
    base,
    { REGISTRY_METADATA_PATH: '0755' },
    (c) => c.data.metadata,
    '0755',
  ],
  ['quotes are those of YAML', base, { REGISTRY_METADATA_PATH: '"a b"' }, (c) => c.data.metadata, 'a b'],
  [
    'an empty variable is the default',
    `${base}log: {level: debug}\n`,
    { REGISTRY_LOG_LEVEL: '' },
    (c) => c.log.level,
    'info',
  ],
  [
    'a type replaces the whole map',
    'version: 0.1\nstorage: {s3: {bucket: b}, delete: {enabled: true}}\nauth: none\n',
    { REGISTRY_STORAGE: 'filesystem' },
    (c) => [c.data.directory, c.delete.enabled],
    ['/var/lib/registry', false],
  ],
  [
    'a type comes before its parameters, whatever the order of the environment',
    'version: 0.1\nstorage: {s3: {bucket: b}}\nauth: none\n',
    { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/e', REGISTRY_STORAGE: 'filesystem' },
    (c) => c.data.directory,
    '/e',
  ],
  [
    'a nested map of the file can be overridden',
    'version: 0.1\nauth: none\nstorage: {filesystem: , maintenance: {readonly: {enabled: false}}}\n',
    { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' },
    (c) => c.readOnly,
    true,
  ],
  ['a nested map is created', base, { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' }, (c) => c.readOnly, true],
  [
    'a nested map may be given whole',
    base,
    { REGISTRY_STORAGE_MAINTENANCE: '{"readonly": {"enabled": true}}' },
    (c) => c.readOnly,
    true,
  ],
  [
    'a null section of the file is a map',
    `${base}http:\n`,
    { REGISTRY_HTTP_PREFIX: '/p/' },
    (c) => c.http.prefix,
    '/p/',
  ],
  [
    'a header of the file is overridden in any case',
    `${base}http: {headers: {X-Content-Type-Options: [nosniff]}}\n`,
    { 'REGISTRY_HTTP_HEADERS_X-CONTENT-TYPE-OPTIONS': '[a]' },
    (c) => c.http.headers,
    { 'X-Content-Type-Options': ['a'] },
  ],
  [
    'a new header is in lower case',
    base,
    { 'REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin': '["*"]' },
    (c) => c.http.headers,
    { 'access-control-allow-origin': ['*'] },
  ],
  [
    'an index replaces a text of a list',
    `${base}http: {trustedproxies: [10.0.0.0/8, 11.0.0.0/8]}\n`,
    { REGISTRY_HTTP_TRUSTEDPROXIES_1: '12.0.0.0/8' },
    (c) => c.http.trustedProxies,
    ['10.0.0.0/8', '12.0.0.0/8'],
  ],
  [
    'the index after the last appends',
    `${base}http: {trustedproxies: [10.0.0.0/8]}\n`,
    { REGISTRY_HTTP_TRUSTEDPROXIES_1: '12.0.0.0/8' },
    (c) => c.http.trustedProxies,
    ['10.0.0.0/8', '12.0.0.0/8'],
  ],
  [
    'an index reaches into a list of maps',
    `${base}validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: a, os: o}]}}}\n`,
    {
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS: 'p',
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_1: '{architecture: b, os: q}',
    },
    (c) => c.validation.indexes,
    {
      platforms: 'list',
      list: [
        { architecture: 'a', os: 'p' },
        { architecture: 'b', os: 'q' },
      ],
    },
  ],
  [
    'none is none in any case',
    base.replace('none', 'htpasswd'),
    { REGISTRY_AUTH: 'None' },
    (c) => c.auth,
    { kind: 'none', anonymous: 'none' },
  ],
  [
    'a key may be created where a map may have any',
    base,
    { REGISTRY_LOG_FIELDS_ENV: 'prod', REGISTRY_LOG_FIELDS_A_B: '1' },
    (c) => c.log.fields,
    { env: 'prod', a: { b: 1 } },
  ],
  [
    'under tokenserver the longest key wins',
    base.replace('auth: none\n', 'tokenserver: {}\n'),
    {
      REGISTRY_TOKENSERVER_TOKEN_DISABLE_LEGACY_KEY_ID: 'true',
      REGISTRY_TOKENSERVER_SERVER_REAL_IP_HEADER: 'X',
      REGISTRY_TOKENSERVER_SERVER_REAL_IP_POS: '-1',
    },
    (c) => [c.tokenServer?.keyId, c.tokenServer?.realIpHeader, c.tokenServer?.realIpPos],
    ['rfc7638', 'X', -1],
  ],
  [
    'authentication for anonymous users has a variable',
    '',
    { REGISTRY_AUTH_ANONYMOUS: 'pull' },
    (c) => [c.auth.kind, c.auth.anonymous, c.tokenServer?.anonymous],
    ['token', 'pull', 'pull'],
  ],
  [
    'parameters alone choose the type',
    '',
    { REGISTRY_AUTH_HTPASSWD_REALM: 'r', REGISTRY_AUTH_HTPASSWD_PATH: 'p' },
    (c) => c.auth,
    { kind: 'htpasswd', anonymous: 'none', realm: 'r', path: 'p' },
  ],
]

describe('variables that reach a key', () => {
  test.each(reaching)('%s', (_, file, env, pick, expected) => {
    const result = loadText(file === '' ? { env } : { file, env })
    expect(lines([...result.problems, ...result.warnings])).toEqual([])
    expect(result.config && pick(result.config)).toEqual(expected)
  })
})

const known = 'this key has no effect in Berth'
const others: [sentence: string, env: Record<string, string>, problems: string[], warnings: string[]][] = [
  ['a key by its YAML name', { REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES: 'true' }, [], []],
  ["a key by Go's field name", { REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true' }, [], []],
  [
    'an embedded struct by its name',
    { REGISTRY_REDIS_OPTIONS_USERNAME: 'u' },
    [],
    [`REGISTRY_REDIS_OPTIONS_USERNAME: redis: ${known}`],
  ],
  [
    'an unknown variable',
    { REGISTRY_HTTP_ADR: ':1' },
    [],
    ['REGISTRY_HTTP_ADR: http.adr is an unknown key; the variable is ignored'],
  ],
  [
    'a key below a single value',
    { REGISTRY_HTTP_ADDR_X: ':1' },
    [],
    ['REGISTRY_HTTP_ADDR_X: http.addr is a single value and has no key X; the variable is ignored'],
  ],
  [
    'an unknown variable of an own section',
    { REGISTRY_UPLOADS_X: '1' },
    ['REGISTRY_UPLOADS_X: uploads.x is an unknown key'],
    [],
  ],
  [
    'an unknown variable of the token server',
    { REGISTRY_TOKENSERVER_TOKEN_ISUER: 'x' },
    ['REGISTRY_TOKENSERVER_TOKEN_ISUER: tokenserver.token.isuer is an unknown key'],
    [],
  ],
  [
    'an unknown kind of authentication',
    { REGISTRY_AUTH_LDAP_ADDR: 'x' },
    ['REGISTRY_AUTH_LDAP_ADDR: auth.ldap is no kind of authentication that Berth knows (token, htpasswd, none)'],
    [],
  ],
  [
    'another driver',
    { REGISTRY_STORAGE_S3_BUCKET: 'x' },
    [
      'REGISTRY_STORAGE_S3_BUCKET: storage.s3: Berth knows this key but does not do what it asks yet',
      'configuration: storage: must provide exactly one storage type. Provided: [filesystem s3]',
    ],
    [],
  ],
  [
    'an index that is no number',
    { REGISTRY_HTTP_TRUSTEDPROXIES_X: 'a' },
    ['REGISTRY_HTTP_TRUSTEDPROXIES_X: non-numeric index "X" of the list http.trustedproxies'],
    [],
  ],
  [
    'an index beyond the end',
    { REGISTRY_HTTP_TRUSTEDPROXIES_2: 'a' },
    ['REGISTRY_HTTP_TRUSTEDPROXIES_2: undefined index 2: http.trustedproxies has 0 elements'],
    [],
  ],
  [
    'a value of another type',
    { REGISTRY_CATALOG_MAXENTRIES: 'many' },
    ['REGISTRY_CATALOG_MAXENTRIES: catalog.maxentries: must be a whole number, not a text'],
    [],
  ],
  [
    'broken YAML where no text is wanted',
    { REGISTRY_LOG_FIELDS: '{a' },
    ['REGISTRY_LOG_FIELDS: not valid YAML: Flow map must end with a } (column 3)'],
    [],
  ],
  [
    'an empty type',
    { REGISTRY_AUTH: '' },
    [
      'REGISTRY_AUTH: is empty, which would throw away the whole section auth. For a registry that is open to everyone, say REGISTRY_AUTH=none.',
    ],
    [],
  ],
  [
    'what Kubernetes injects is named once',
    {
      REGISTRY_PORT: 'tcp://10.0.0.1:5000',
      REGISTRY_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      REGISTRY_PORT_5000_TCP_ADDR: '10.0.0.1',
      REGISTRY_PORT_5000_TCP_PORT: '5000',
      REGISTRY_PORT_5000_TCP_PROTO: 'tcp',
      REGISTRY_SERVICE_HOST: '10.0.0.1',
      REGISTRY_SERVICE_PORT: '5000',
      REGISTRY_SERVICE_PORT_HTTP: '5000',
      REGISTRY_AUTH_SERVICE_HOST: '10.0.0.2',
      REGISTRY_AUTH_PORT_5001_TCP_ADDR: '10.0.0.2',
      REGISTRY_AUTH_PORT: 'tcp://10.0.0.2:5001',
    },
    [],
    ['REGISTRY_AUTH_PORT: and 10 more are what Kubernetes injects for a service called registry; ignored'],
  ],
  ['other variables are nobody’s business', { PATH: '/bin', registry_http_addr: 'x', REGISTRYX: 'y' }, [], []],
]

describe('variables that do not', () => {
  const file = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
  test.each(others)('%s', (_, env, problems, warnings) => {
    const result = loadText({ file, env })
    const found = lines(result.problems).map((line) =>
      line.replace(/^config.yml:\d+: (storage: must)/, 'configuration: $1'),
    )
    expect(found).toEqual(problems)
    expect(lines(result.warnings)).toEqual(warnings)
    expect(result.config === undefined).toBe(problems.length > 0)
  })

  test('what Kubernetes injects does not make the environment a configuration', () => {
    expect(loadText({ env: { REGISTRY_PORT: 'tcp://10.0.0.1:5000' } }).mode).toBe('bare')
  })
})
