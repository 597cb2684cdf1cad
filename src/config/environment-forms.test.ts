import { describe, expect, test } from 'bun:test'
import { loadText } from './fixtures/load-text.ts'
import { nodeAt, toPlain } from './node.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'

/**
 * The forms of registry 2 and 3 (their `configuration/parser.go`), and those that its documentation promises and its code does
 * not keep. What is set is looked for in the tree, so that a key counts whether or not Berth carries it out.
 */
const forms: [
  sentence: string,
  file: string,
  env: Record<string, string>,
  path: (string | number)[],
  value: unknown,
][] = [
  ['a leaf of a struct', base, { REGISTRY_LOG_LEVEL: 'debug' }, ['log', 'level'], 'debug'],
  ['the whole of a struct', base, { REGISTRY_LOG: '{level: debug}' }, ['log'], { level: 'debug' }],
  ['a leaf of a map', base, { REGISTRY_STORAGE_S3_BUCKET: 'b' }, ['storage', 's3', 'bucket'], 'b'],
  [
    'a map of parameters whole',
    base,
    { REGISTRY_STORAGE_S3: '{"bucket": "b", "v4auth": true}' },
    ['storage', 's3'],
    { bucket: 'b', v4auth: true },
  ],
  [
    'keys of a map from the file are found in any case',
    'version: 0.1\nstorage: {s3: {regionEndpoint: a}}\n',
    { REGISTRY_STORAGE_S3_REGIONENDPOINT: 'b' },
    ['storage', 's3'],
    { regionEndpoint: 'b' },
  ],
  [
    'a driver replaces another, and its sections',
    'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}, cache: {blobdescriptor: redis}}\n',
    { REGISTRY_STORAGE: 's3' },
    ['storage'],
    { s3: {} },
  ],
  [
    'a driver as a map replaces another',
    base,
    { REGISTRY_STORAGE: '{s3: {bucket: b}}' },
    ['storage'],
    { s3: { bucket: 'b' } },
  ],
  [
    'variables are laid in the order of their names, whatever the shell’s',
    base,
    { REGISTRY_STORAGE_S3_BUCKET: 'c', REGISTRY_STORAGE_S3: '{bucket: b, region: r}', REGISTRY_STORAGE: 's3' },
    ['storage'],
    { s3: { bucket: 'c', region: 'r' } },
  ],
  [
    'a kind of authentication replaces another',
    'version: 0.1\nauth: {htpasswd: {realm: r}}\n',
    { REGISTRY_AUTH: 'token' },
    ['auth'],
    { token: {} },
  ],
  [
    'a list of structs whole',
    base,
    { REGISTRY_NOTIFICATIONS_ENDPOINTS: '- name: a\n  url: http://a\n- name: b\n' },
    ['notifications', 'endpoints'],
    [{ name: 'a', url: 'http://a' }, { name: 'b' }],
  ],
  [
    'an element of a list of structs, which is appended (registry 3)',
    base,
    {
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: 'a',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION: '[Bearer x]',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME: 'b',
    },
    ['notifications', 'endpoints'],
    [{ name: 'a', headers: { authorization: ['Bearer x'] } }, { name: 'b' }],
  ],
  [
    'an element of a list of texts, which the original loses',
    base,
    { REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_0: 'a.example', REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_1: 'b.example' },
    ['http', 'tls', 'letsencrypt', 'hosts'],
    ['a.example', 'b.example'],
  ],
  [
    'another, over one of the file',
    `${base}http: {tls: {clientcas: [/a.pem, /b.pem]}}\n`,
    { REGISTRY_HTTP_TLS_CLIENTCAS_0: '/c.pem' },
    ['http', 'tls', 'clientcas'],
    ['/c.pem', '/b.pem'],
  ],
  [
    'a nested map that the file does not have, which the original panics at',
    base,
    { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED: 'false' },
    ['storage', 'maintenance'],
    { uploadpurging: { enabled: false } },
  ],
  [
    'a nested map of the file, which the original passes over',
    'version: 0.1\nstorage: {filesystem: , maintenance: {uploadpurging: {enabled: true, age: 1h}}}\n',
    { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: '2h' },
    ['storage', 'maintenance', 'uploadpurging'],
    { enabled: true, age: '2h' },
  ],
  [
    "Go's name of a field: events",
    base,
    { REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true' },
    ['notifications', 'events'],
    { includereferences: true },
  ],
  [
    "Go's names of fields: checks",
    base,
    {
      REGISTRY_HEALTH_FILECHECKERS: '- file: /f',
      REGISTRY_HEALTH_HTTPCHECKERS_0_URI: 'http://u',
      REGISTRY_HEALTH_TCPCHECKERS_0_ADDR: 'a:1',
    },
    ['health'],
    { file: [{ file: '/f' }], http: [{ uri: 'http://u' }], tcp: [{ addr: 'a:1' }] },
  ],
  [
    "Go's name of a field: options of mails",
    base,
    { REGISTRY_LOG_HOOKS_0_TYPE: 'mail', REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR: 'h:25' },
    ['log', 'hooks'],
    [{ type: 'mail', options: { smtp: { addr: 'h:25' } } }],
  ],
  [
    "Go's name of a field: the key of schema 1",
    base,
    { REGISTRY_COMPATIBILITY_SCHEMA1_TRUSTKEY: '/k' },
    ['compatibility', 'schema1'],
    { signingkeyfile: '/k' },
  ],
  [
    'the key of the file, where Go has another name',
    base,
    { REGISTRY_HEALTH_TCP_0_ADDR: 'a:1', REGISTRY_COMPATIBILITY_SCHEMA1_SIGNINGKEYFILE: '/k' },
    ['health', 'tcp'],
    [{ addr: 'a:1' }],
  ],
  [
    'an inlined struct by its name, and without',
    base,
    { REGISTRY_REDIS_OPTIONS_USERNAME: 'u', REGISTRY_REDIS_ADDRS_0: 'r:1', REGISTRY_REDIS_TLS_ROOTCAS_0: '/r.pem' },
    ['redis'],
    { username: 'u', addrs: ['r:1'], tls: { rootcas: ['/r.pem'] } },
  ],
  [
    'a list of middleware',
    base,
    { REGISTRY_MIDDLEWARE_STORAGE_0_NAME: 'redirect', REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL: 'http://b' },
    ['middleware', 'storage'],
    [{ name: 'redirect', options: { baseurl: 'http://b' } }],
  ],
  [
    'a key with an underscore, which the original cannot reach, as a map',
    base,
    { REGISTRY_STORAGE_AZURE: '{credentials: {client_id: i}}' },
    ['storage', 'azure', 'credentials', 'client_id'],
    'i',
  ],
]

describe('every form of a variable', () => {
  test.each(forms)('%s', (_, file, env, path, value) => {
    const { effective, problems } = loadText({ file, env })
    const node = nodeAt(effective, path)
    expect(node && JSON.parse(JSON.stringify(toPlain(node)))).toEqual(value)
    // What a variable itself is refused for is said with its name and without a key.
    expect(problems.filter((one) => one.where.startsWith('REGISTRY_') && one.path === '')).toEqual([])
  })
})
