import { describe, expect, test } from 'bun:test'
import type { Config } from './config.ts'
import { lines, loadText } from './fixtures/load-text.ts'

/** A file that is right, with the auth and storage that no row is about. */
const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
/** With a pair; further keys of http.tls come on line 8. */
const pair = `${base}http:\n  tls:\n    certificate: c\n    key: k\n`

const values: [sentence: string, yaml: string, pick: (config: Config) => unknown, expected: unknown][] = [
  [
    'an IPv6 address stands in brackets',
    'http: {addr: "[::1]:5000"}',
    (c) => c.http.listen,
    { kind: 'tcp', hostname: '::1', port: 5000 },
  ],
  ['a port may be a name', 'http: {addr: ":https"}', (c) => c.http.listen, { kind: 'tcp', hostname: '::', port: 443 }],
  [
    'an address of digits and colons is no base-60 number',
    'http: {addr: 127.0.0.1:30}',
    (c) => c.http.listen,
    { kind: 'tcp', hostname: '127.0.0.1', port: 30 },
  ],
  ['a prefix gets its slashes', 'http: {prefix: /a/b}', (c) => c.http.prefix, '/a/b/'],
  ['a base URL loses its last slash', 'http: {host: "https://r.example/"}', (c) => c.http.host, 'https://r.example'],
  ['an empty base URL is none', 'http: {host: ""}', (c) => c.http.host, undefined],
  ['yes is true, as in YAML 1.1', 'http: {relativeurls: yes}', (c) => c.http.relativeUrls, true],
  [
    'room on the disk is a part of it, or bytes',
    'space: {minfree: 1.5%, reserve: 16MiB}',
    (c) => c.space,
    { minFree: { percent: 1.5 }, reserveBytes: 16 * 1024 ** 2 },
  ],
  ['off is false', 'http: {relativeurls: off}', (c) => c.http.relativeUrls, false],
  ['a duration has units', 'http: {draintimeout: 1m30s}', (c) => c.http.drainTimeoutMs, 90_000],
  ['a bare number is nanoseconds', 'http: {draintimeout: 5000000000}', (c) => c.http.drainTimeoutMs, 5000],
  [
    'TLS 1.3 may be the least',
    'http: {tls: {certificate: c, key: k, minimumtls: tls1.3}}',
    (c) => c.http.tls,
    { certificate: 'c', key: 'k', minVersion: 'TLSv1.3' },
  ],
  [
    'cipher suites get the names of OpenSSL',
    'http: {tls: {certificate: c, key: k, ciphersuites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256]}}',
    (c) => c.http.tls?.ciphers,
    'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305',
  ],
  [
    'client certificates are demanded where their authorities are named',
    'http: {tls: {certificate: c, key: k, clientcas: [a, b]}}',
    (c) => c.http.tls?.clients,
    { authorities: ['a', 'b'], mode: 'require' },
  ],
  [
    'or asked for and not looked at',
    'http: {tls: {certificate: c, key: k, clientcas: [a], clientauth: request-client-cert}}',
    (c) => c.http.tls?.clients,
    { authorities: ['a'], mode: 'request' },
  ],
  [
    'TLS 1.0 becomes 1.2',
    'http: {tls: {certificate: c, key: k, minimumtls: tls1.0}}',
    (c) => c.http.tls?.minVersion,
    'TLSv1.2',
  ],
  ['an empty word is the default', 'http: {net: "", tls: {minimumtls: ""}}', (c) => c.http.listen.kind, 'tcp'],
  ['headers keep their values', 'http: {headers: {X-A: [b, 1]}}', (c) => c.http.headers, { 'X-A': ['b', '1'] }],
  [
    'a trusted address is a block of one',
    'http: {trustedproxies: [10.0.0.0/8, 192.0.2.1, "::1"]}',
    (c) => c.http.trustedProxies,
    ['10.0.0.0/8', '192.0.2.1/32', '::1/128'],
  ],
  ['read-only mode', 'storage: {filesystem: , maintenance: {readonly: {enabled: true}}}', (c) => c.readOnly, true],
  [
    'filesystem without a directory has the default',
    'storage: {filesystem: }',
    (c) => c.data.directory,
    '/var/lib/registry',
  ],
  ['deletion must be turned on', 'storage: {filesystem: , delete: {enabled: on}}', (c) => c.delete.enabled, true],
  ['the database may be elsewhere', 'metadata: {path: /fast}', (c) => c.data, { directory: '/d', metadata: '/fast' }],
  [
    'no entries a page means the default',
    'catalog: {maxentries: -1}\ntags: {maxtags: 0}',
    (c) => [c.catalog, c.tags],
    [{ maxEntries: 1000 }, { maxTags: 1000 }],
  ],
  ['levels are read in any case', 'log: {level: DEBUG}', (c) => c.log.level, 'debug'],
  [
    'the old level counts when there is no new one',
    'loglevel: warn\nlog: {formatter: json}',
    (c) => c.log,
    {
      level: 'warn',
      formatter: 'json',
      fields: {},
      accessLog: true,
      requests: true,
      reportCaller: false,
      mails: [],
    },
  ],
  [
    'the new level beats the old one',
    'loglevel: warn\nlog: {level: error, accesslog: {disabled: true}}',
    (c) => [c.log.level, c.log.accessLog],
    ['error', false],
  ],
  ['validation is on unless disabled', 'validation: {disabled: true}', (c) => c.validation.enabled, false],
  ['enabled: false turns nothing off', 'validation: {enabled: false}', (c) => c.validation.enabled, true],
  [
    'URLs of layers have patterns',
    'validation: {manifests: {urls: {allow: [^https], deny: [x]}}}',
    (c) => c.validation.urls,
    { allow: ['^https'], deny: ['x'] },
  ],
  [
    'a list of platforms',
    'validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}}}',
    (c) => c.validation.indexes,
    { platforms: 'list', list: [{ architecture: 'amd64', os: 'linux' }] },
  ],
  ['an own section', 'uploads: {chunkminlength: 1024}', (c) => c.uploads.chunkMinLength, 1024],
  [
    'anchors and merge keys',
    'x: &a {level: debug}\nlog: {<<: *a, formatter: json}',
    (c) => [c.log.level, c.log.formatter],
    ['debug', 'json'],
  ],
]

describe('values', () => {
  test.each(values)('%s', (_, yaml, pick, expected) => {
    // A row's own section takes the place of the base's.
    const file = yaml.startsWith('storage') ? base.replace(/^storage.*\n/m, '') : base
    const { config, problems } = loadText({ file: `${file}${yaml}\n` })
    expect(lines(problems)).toEqual([])
    expect(config && pick(config)).toEqual(expected)
  })
})

const driver = 'Berth knows this key but does not do what it asks yet'
const refusals: [sentence: string, file: string, problems: string[]][] = [
  ['a file says its version', 'storage: filesystem', ['config.yml:1: version: unsupported version: ""']],
  [
    'another version is refused',
    'version: 0.2\nstorage: filesystem',
    ['config.yml:1: version: unsupported version: "0.2"'],
  ],
  [
    'an empty file is refused',
    '',
    ['config.yml:1: version: unsupported version: ""', 'config.yml:1: storage: no storage configuration provided'],
  ],
  ['a file must be a map', '- a', ['config.yml:1: must be a map of keys']],
  [
    'broken YAML has line and column',
    'version: 0.1\nhttp: {a: 1',
    [
      'config.yml:2: not valid YAML: Flow map in block collection must be sufficiently indented and end with a } (column 12)',
    ],
  ],
  ['no storage', 'version: 0.1\nauth: none', ['config.yml:1: storage: no storage configuration provided']],
  [
    'another driver is refused, even without values',
    'version: 0.1\nstorage:\n  s3:\n',
    [`config.yml:3: storage.s3: ${driver}`],
  ],
  [
    'two drivers are refused',
    'version: 0.1\nstorage:\n  filesystem:\n  gcs: {bucket: b}\n',
    [
      `config.yml:4: storage.gcs: ${driver}`,
      'config.yml:2: storage: must provide exactly one storage type. Provided: [filesystem gcs]',
    ],
  ],
  [
    'a misspelt section of storage is refused',
    'version: 0.1\nstorage:\n  filesystem:\n  delet: {enabled: true}',
    [
      'config.yml:4: storage.delet: is no storage driver or section that Berth knows',
      'config.yml:2: storage: must provide exactly one storage type. Provided: [filesystem delet]',
    ],
  ],
  [
    'a misspelt kind of authentication is refused',
    `${base}\nauth:\n  htpaswd: {}`,
    ['config.yml:6: auth.htpaswd: is no kind of authentication that Berth knows (token, htpasswd, none)'],
  ],
  [
    'two kinds of authentication are refused',
    `${base}\nauth:\n  htpasswd: {realm: r, path: p}\n  token: {}`,
    ['config.yml:5: auth: must provide exactly one type. Provided: [htpasswd token]'],
  ],
  ['silly is refused', `${base}\nauth: silly`, [`config.yml:5: auth.silly: ${driver}`]],
  [
    'htpasswd needs both keys',
    `${base}\nauth: htpasswd`,
    [
      'config.yml:5: auth.htpasswd.realm: "realm" must be set for htpasswd access controller',
      'config.yml:5: auth.htpasswd.path: "path" must be set for htpasswd access controller',
    ],
  ],
  [
    'a foreign token server needs all keys',
    `${base}\nauth:\n  token: {rootcertbundle: b}`,
    ['realm', 'issuer', 'service'].map(
      (key) => `config.yml:6: auth.token.${key}: token auth requires a valid option string: "${key}"`,
    ),
  ],
  ['mirroring is refused', `${base}proxy:\n  remoteurl: https://x.example`, [`config.yml:4: proxy: ${driver}`]],
  [
    'client certificates without TLS',
    `${base}http:\n  tls:\n    clientcas: [a]`,
    [
      'config.yml:6: http.tls.clientcas: client certificates are asked for, but without http.tls.certificate plain HTTP is served',
    ],
  ],
  [
    'client certificates of no authority',
    `${pair}    clientauth: require-and-verify-client-cert`,
    ['config.yml:8: http.tls.clientauth: demands client certificates, but http.tls.clientcas names no authority'],
  ],
  [
    'client certificates of any authority',
    `${pair}    clientcas: [a]\n    clientauth: require-any-client-cert`,
    [
      'config.yml:9: http.tls.clientauth: require-any-client-cert cannot be done: a certificate that nobody verifies proves nothing, and Berth cannot ask for one',
    ],
  ],
  [
    'client certificates if there are any',
    `${pair}    clientauth: verify-client-cert-if-given\n    clientcas: [a]`,
    [
      'config.yml:8: http.tls.clientauth: verify-client-cert-if-given cannot be done: Berth either demands a valid certificate of every client, or looks at none',
    ],
  ],
  [
    'a misspelt kind of client certificates',
    `${pair}    clientauth: require`,
    [
      'config.yml:8: http.tls.clientauth: must be one of request-client-cert, require-any-client-cert, verify-client-cert-if-given, require-and-verify-client-cert',
    ],
  ],
  [
    'a cipher suite that there is not',
    `${pair}    ciphersuites: [TLS_NO_SUCH_SUITE]`,
    ['config.yml:8: http.tls.ciphersuites[0]: "TLS_NO_SUCH_SUITE" is no cipher suite'],
  ],
  [
    'only suites that nobody should use',
    `${pair}    ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]`,
    ['config.yml:8: http.tls.ciphersuites: leaves no suite for TLS 1.2'],
  ],
  [
    'middleware is refused, one around the storage by its name',
    `${base}middleware:\n  registry:\n    - name: ours\n  storage:\n    - name: ours\n    - {name: theirs, disabled: true}`,
    [
      `config.yml:5: middleware.registry: ${driver}`,
      'config.yml:8: middleware.storage[0].name: storage middleware not registered with name: ours',
    ],
  ],
  [
    'half a pair of TLS files',
    `${base}http:\n  tls:\n    key: k`,
    ['config.yml:6: http.tls.key: http.tls.key is given, but not http.tls.certificate'],
  ],
  ['a bad address', `${base}http:\n  addr: 5000`, ['config.yml:5: http.addr: missing port in address "5000"']],
  ['a port out of range', `${base}http:\n  addr: ":65536"`, ['config.yml:5: http.addr: "65536" is no port']],
  [
    'a socket needs a path',
    `${base}http:\n  net: unix`,
    ['config.yml:5: http.net: is unix, but http.addr does not name the socket'],
  ],
  ['another network', `${base}http:\n  net: udp`, ['config.yml:5: http.net: must be one of tcp, unix']],
  [
    'a bad duration',
    `${base}http:\n  draintimeout: soon`,
    ['config.yml:5: http.draintimeout: "soon" is no duration; write one such as 10s or 2h45m'],
  ],
  [
    'a time without a unit after which uploads end',
    'version: 0.1\nauth: none\nstorage:\n  filesystem: {rootdirectory: /data}\n  maintenance: {uploadpurging: {age: 168}}\n',
    ['config.yml:5: storage.maintenance.uploadpurging.age: 168 without a unit is nanoseconds'],
  ],
  ...(
    [
      ['trash.window', 'trash: {window: 168}'],
      ['gc.delay', 'gc: {delay: 168}'],
      ['gc.untagged', 'gc: {untagged: 168}'],
      ['verify.quarantine', 'verify: {quarantine: 168}'],
    ] as const
  ).map(([key, yaml]): (typeof refusals)[number] => [
    `a time without a unit after which something is gone: ${key}`,
    `${base}${yaml}`,
    [`config.yml:4: ${key}: 168 without a unit is nanoseconds`],
  ]),
  [
    'a second document',
    `${base}---\nlog: {}`,
    ['config.yml:4: a second YAML document begins here; only one can be read'],
  ],
  ['a bad base URL', `${base}http:\n  host: r.example`, ['config.yml:5: http.host: is no base URL']],
  ['a bad prefix', `${base}http:\n  prefix: /a b/`, ['config.yml:5: http.prefix: "/a b/" is no path prefix']],
  [
    'a header of one text',
    `${base}http:\n  headers:\n    X-A: b`,
    ['config.yml:6: http.headers.X-A: must be a list, not a text'],
  ],
  [
    'a header with a line break',
    `${base}http:\n  headers:\n    X-A: ["a\\nb"]`,
    ['config.yml:6: http.headers.X-A: has a value with characters that no header may carry'],
  ],
  [
    'a trusted proxy by name',
    `${base}http:\n  trustedproxies:\n    - 10.0.0.0/8\n    - proxy`,
    ['config.yml:7: http.trustedproxies[1]: "proxy" is no CIDR block'],
  ],
  [
    'a quoted boolean',
    `${base}http:\n  relativeurls: "true"`,
    ['config.yml:5: http.relativeurls: must be true or false, not a text'],
  ],
  [
    'a number with a fraction',
    `${base}catalog:\n  maxentries: 1.5`,
    ['config.yml:5: catalog.maxentries: must be a whole number'],
  ],
  ['a section that is a text', `${base}http: yes please`, ['config.yml:4: http: must be a map of keys, not a text']],
  ['a negative page', `${base}tags:\n  maxtags: -1`, ['config.yml:5: tags.maxtags: must not be negative']],
  ['a bad level', `${base}log:\n  level: loud`, ['config.yml:5: log.level: invalid loglevel loud']],
  [
    'a bad formatter',
    `${base}log:\n  formatter: xml`,
    ['config.yml:5: log.formatter: must be one of text, json, logstash'],
  ],
  [
    'a platform without os',
    `${base}validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: a}]}}}`,
    ['config.yml:4: validation.manifests.indexes.platformlist[0]: must have architecture and os'],
  ],
  [
    'an unknown key of an own section',
    `${base}uploads:\n  chunkminlenght: 3`,
    ['config.yml:5: uploads.chunkminlenght: is an unknown key'],
  ],
  [
    'an unknown key of the token server',
    `${base.replace('auth: none\n', '')}tokenserver:\n  token:\n    isuer: A`,
    ['config.yml:5: tokenserver.token.isuer: is an unknown key'],
  ],
  ['an anchor that is not there', `${base}log: *none`, ['config.yml:4: *none names no anchor']],
  [
    'everything at once',
    `${base}http:\n  addr: x\n  net: udp\n  tls: {key: k}\nlog: {level: loud}\ncatalog: {maxentries: many}\nproxy: {remoteurl: u}`,
    [
      'config.yml:6: http.net: must be one of tcp, unix',
      'config.yml:5: http.addr: "x" is not HOST:PORT',
      'config.yml:7: http.tls.key: http.tls.key is given, but not http.tls.certificate',
      'config.yml:8: log.level: invalid loglevel loud',
      'config.yml:9: catalog.maxentries: must be a whole number, not a text',
      `config.yml:10: proxy: ${driver}`,
    ],
  ],
  [
    'amounts of space that are none',
    'version: 0.1\nstorage: filesystem\nauth: none\nspace: {minfree: much, reserve: 5%}\n',
    ['config.yml:4: space.minfree: "much" is no size', 'config.yml:4: space.reserve: "5%" is no number of bytes'],
  ],
]

describe('refusals', () => {
  test.each(refusals)('%s', (_, file, expected) => {
    // A row that gives auth itself takes the place of the base's.
    const text = /\nauth:(.|\n)*\nauth:/.test(file) ? file.replace('auth: none\n', '\n') : file
    const result = loadText({ file: text })
    expect(result.config).toBeUndefined()
    const found = lines(result.problems)
    expect(found.sort()).toEqual([...expected].sort())
  })
})

const warnings: [sentence: string, yaml: string, warning: string, fix: string | undefined][] = [
  [
    'a delay of the collector that is shorter than a push',
    'gc: {delay: 0s}',
    'config.yml:4: gc.delay: is shorter than a push may take: what it has stored may go before its manifest comes',
    'Write 10m or more; berth gc run --now takes what deletions freed without waiting.',
  ],
  [
    'a time for untagged manifests of the collector that is shorter than a push',
    'gc: {untagged: 0s}',
    'config.yml:4: gc.untagged: is shorter than a push may take: what it has stored may go before its manifest comes',
    'Write 10m or more; berth gc run --now takes what deletions freed without waiting.',
  ],
  [
    'a floor for pushes above the free space at which the trash is emptied',
    'space: {minfree: 3GiB}',
    'config.yml:4: space.minfree: is more than trash.minfree: pushes are refused before the trash is emptied',
    'Make it smaller than trash.minfree, or set trash.minfree: 0.',
  ],
  [
    'a misspelt key',
    'http:\n  adr: ":1"',
    'config.yml:5: http.adr: is an unknown key; it is ignored',
    'Did you mean addr?',
  ],
  [
    'HTTP/2',
    'http: {http2: {disabled: false}}',
    'config.yml:4: http.http2: this key has no effect in Berth',
    'HTTP/1.1 is served, which every client speaks and which moves blobs faster here.',
  ],
  [
    'HTTP/2 without TLS',
    'http: {h2c: {enabled: true}}',
    'config.yml:4: http.h2c: this key has no effect in Berth',
    'HTTP/1.1 is served, which every client and proxy speaks; a proxy must not be told to speak HTTP/2 to Berth.',
  ],
  [
    'cipher suites beside TLS 1.3',
    'http: {tls: {certificate: c, key: k, minimumtls: tls1.3, ciphersuites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]}}',
    'config.yml:4: http.tls.ciphersuites: has no effect with minimumtls: tls1.3, whose suites are not configurable',
    undefined,
  ],
  ['a key like none that is known', 'banana: 3', 'config.yml:4: banana: is an unknown key; it is ignored', undefined],
  [
    'a key twice',
    'log: {}\nlog: {level: debug}',
    'config.yml:5: log: stands twice in the same map (first on line 4); the last one counts',
    'Remove one of the two.',
  ],
  [
    'threads of the driver',
    'http: {}\nredis:\n  addr: r:1',
    'config.yml:5: redis: this key has no effect in Berth',
    'No Redis is used.',
  ],
  [
    'a cache in Redis',
    'storage: {filesystem: , cache: {blobdescriptor: redis, blobdescriptorsize: 5}}',
    'config.yml:4: storage.cache.blobdescriptor: no Redis is used: what is known of blobs is in memory and in the database',
    undefined,
  ],
  [
    'a kind of cache that there is not',
    'storage: {filesystem: , cache: {layerinfo: memcached}}',
    'config.yml:4: storage.cache.layerinfo: "memcached" is no kind of cache; the one in memory is used',
    'Write inmemory, or remove the key.',
  ],
  [
    'middleware that only redirects',
    'middleware:\n  storage:\n    - {name: cloudfront, options: {baseurl: "https://x"}}',
    'config.yml:6: middleware.storage[0].name: cloudfront has no effect in Berth, which serves blobs itself',
    'Remove the entry, or put a cache in front of the registry.',
  ],
  [
    'a class of images that no manifest has',
    'policy: {repository: {classes: [image, chart]}}',
    'config.yml:4: policy.repository.classes[1]: no manifest is of the class "chart"',
    'Known are image and plugin.',
  ],
  [
    'a misspelt key below what has no effect',
    'health:\n  storagedrivr: {enabled: false}',
    'config.yml:5: health.storagedrivr: is an unknown key; it is ignored',
    'Did you mean storagedriver?',
  ],
]

describe('warnings', () => {
  test.each(warnings)('%s', (_, yaml, warning, fix) => {
    const file = yaml.startsWith('storage') ? base.replace(/^storage.*\n/m, '\n') : base
    const result = loadText({ file: `${file}${yaml}\n` })
    expect(result.problems).toEqual([])
    expect(lines(result.warnings)).toEqual([warning])
    expect(result.warnings[0]?.fix).toBe(fix)
  })

  test('what asks for nothing is passed over in silence', () => {
    const idle =
      'proxy: {remoteurl: ""}\nredis: {}\nmiddleware: {storage: [], registry: [{name: x, disabled: true}]}\nhttp: {secret: s, h2c: {enabled: false}, http2: {disabled: true}, tls: {clientcas: []}}\nnotifications: {endpoints: []}\n'
    expect(loadText({ file: base + idle })).toMatchObject({ problems: [], warnings: [] })
  })

  test('strict mode refuses an unknown key and an unknown variable', () => {
    const result = loadText({ file: `${base}quota: 3\n`, env: { REGISTRY_QUOTA: '3' }, compat: 'strict' })
    expect(lines(result.problems)).toEqual([
      'REGISTRY_QUOTA: quota is an unknown key',
      'config.yml:4: quota: is an unknown key',
    ])
  })
})
