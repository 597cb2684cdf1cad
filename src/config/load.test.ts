import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config, TokenServerConfig } from './config.ts'
import { lines, loadText, loadTokenServerText } from './fixtures/load-text.ts'
import { loadConfig } from './load.ts'

const fixture = (name: string): string => join(import.meta.dir, 'fixtures', name)

const builtIn = {
  listen: undefined,
  tls: undefined,
  pathPrefix: '',
  hsts: false,
  realIpHeader: undefined,
  realIpPos: 0,
  issuer: 'Berth',
  expiration: 900,
  certificate: undefined,
  key: undefined,
  keyId: 'libtrust',
  x5c: 'auto',
  users: undefined,
  databaseUsers: true,
  htpasswd: undefined,
  extAuth: undefined,
  signIn: [],
  ldap: undefined,
  mongoUsers: undefined,
  sqlUsers: undefined,
  acl: undefined,
  aclMode: 'first-match',
  aclMongo: undefined,
  aclSql: undefined,
  extAuthz: undefined,
  casbin: undefined,
  anonymous: 'none',
  refreshTokens: { issue: 'auto', lifeMs: 90 * 24 * 3_600_000 },
  trustedProxies: [],
  throttle: { enabled: true, perAccount: 5, perAddress: 50, windowMs: 300_000 },
  audit: { keepMs: 30 * 24 * 3_600_000, keepRows: 1_000_000, file: undefined },
} satisfies TokenServerConfig

const bare: Config = {
  notifications: { includeReferences: false, endpoints: [] },
  data: { directory: './berth-data', metadata: './berth-data' },
  delete: { enabled: true },
  readOnly: false,
  http: {
    listen: { kind: 'tcp', hostname: '127.0.0.1', port: 5000 },
    prefix: '/',
    host: undefined,
    relativeUrls: false,
    headers: { 'X-Content-Type-Options': ['nosniff'] },
    tls: undefined,
    drainTimeoutMs: 30_000,
    trustedProxies: [],
    debug: undefined,
  },
  auth: {
    kind: 'token',
    anonymous: 'none',
    realm: undefined,
    service: 'Berth',
    issuer: 'Berth',
    rootCertBundle: undefined,
    jwks: undefined,
    signingAlgorithms: undefined,
  },
  tokenServer: builtIn,
  validation: { enabled: true, urls: { allow: [], deny: [] }, indexes: { platforms: 'all' } },
  policy: { classes: [] },
  cache: { blobs: undefined },
  catalog: { maxEntries: 1000 },
  tags: { maxTags: 1000 },
  log: {
    level: 'info',
    formatter: 'text',
    fields: {},
    accessLog: true,
    requests: false,
    reportCaller: false,
    mails: [],
  },
  health: { storage: undefined, files: [], urls: [], addresses: [] },
  uploads: {
    chunkMinLength: 0,
    purging: { enabled: true, ageMs: 168 * 3_600_000, intervalMs: 24 * 3_600_000, dryRun: false },
  },
  gc: { enabled: true, delayMs: 3_600_000, untagged: 168 * 3_600_000, intervalMs: 60_000, workers: 4 },
  trash: { windowMs: 168 * 3_600_000, minFree: { bytes: 2 * 1024 ** 3 } },
  space: { minFree: { bytes: 256 * 1024 ** 2 }, reserveBytes: 64 * 1024 ** 2 },
  backup: { database: { enabled: true, keep: 3 } },
  verify: {
    rate: 50 * 1024 ** 2,
    scrub: { enabled: true, everyMs: 720 * 3_600_000, rate: 10 * 1024 ** 2 },
    quarantineMs: 720 * 3_600_000,
  },
  immutable: [],
  retention: {
    enabled: true,
    intervalMs: 3_600_000,
    expiry: { enabled: true, names: ['berth.expires-after'] },
    rules: [],
  },
  quotas: [],
}

const everywhere = { kind: 'tcp', hostname: '::', port: 5000 } as const
const noAuth = 'no authentication is configured: anyone who can reach the registry may push and delete'

describe('where the configuration comes from', () => {
  test('with neither file nor variables, this machine alone is served, with authentication', () => {
    const result = loadText({})
    expect(result).toMatchObject({ mode: 'bare', problems: [], warnings: [] })
    expect(result.config).toEqual(bare)
  })

  test('variables alone give the official image, and authentication besides', () => {
    const result = loadText({ env: { REGISTRY_LOG_LEVEL: 'debug' } })
    expect(result).toMatchObject({ mode: 'environment', problems: [], warnings: [] })
    expect(result.config).toEqual({
      ...bare,
      data: { directory: '/var/lib/registry', metadata: '/var/lib/registry' },
      http: { ...bare.http, listen: everywhere },
      log: { ...bare.log, level: 'debug', requests: true },
    })
  })

  test('with variables alone, an open registry must be asked for', () => {
    const result = loadText({ env: { REGISTRY_AUTH: 'none' } })
    expect(result).toMatchObject({ problems: [], warnings: [] })
    expect(result.config?.auth).toEqual({ kind: 'none', anonymous: 'none' })
    expect(result.config?.tokenServer).toBeUndefined()
  })

  test('a file means what it means to the original: no authentication, no deletion, port 5000', () => {
    const result = loadText({ file: 'version: 0.1\nstorage: filesystem\n' })
    expect(lines(result.warnings)).toEqual([`config.yml:1: auth: ${noAuth}`])
    expect(result.problems).toEqual([])
    expect(result.config).toEqual({
      ...bare,
      data: { directory: '/var/lib/registry', metadata: '/var/lib/registry' },
      delete: { enabled: false },
      http: { ...bare.http, listen: everywhere, headers: {} },
      auth: { kind: 'none', anonymous: 'none' },
      tokenServer: undefined,
      log: { ...bare.log, requests: true },
    })
  })

  test('flags beat variables, and variables beat the file', () => {
    const file =
      'version: 0.1\nhttp: {addr: ":1", prefix: a}\nstorage: {filesystem: {rootdirectory: /file}}\nauth: none\n'
    const env = { REGISTRY_HTTP_ADDR: ':2', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/env' }
    const withoutFlags = loadText({ file, env }).config
    expect(withoutFlags?.http.listen).toEqual({ kind: 'tcp', hostname: '::', port: 2 })
    expect(withoutFlags?.http.prefix).toBe('/a/')
    expect(withoutFlags?.data.directory).toBe('/env')
    const withFlags = loadText({ file, env, flags: { addr: 'localhost:3', data: 'flag' } }).config
    expect(withFlags?.http.listen).toEqual({ kind: 'tcp', hostname: 'localhost', port: 3 })
    expect(withFlags?.data).toEqual({ directory: 'flag', metadata: 'flag' })
  })

  test('--addr is HOST:PORT even where the file listens on a socket', () => {
    const file = 'version: 0.1\nhttp: {addr: /run/r.sock, net: unix}\nstorage: filesystem\nauth: none\n'
    expect(loadText({ file }).config?.http.listen).toEqual({ kind: 'unix', path: '/run/r.sock' })
    expect(loadText({ file, flags: { addr: ':7' } }).config?.http.listen).toEqual({
      kind: 'tcp',
      hostname: '::',
      port: 7,
    })
  })

  test('REGISTRY_CONFIGURATION_PATH names the file when no argument does', () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-config-'))
    const path = join(directory, 'c.yml')
    writeFileSync(path, 'version: 0.1\nstorage: filesystem\nauth: none\ntags: {maxtags: 7}\n')
    const result = loadConfig({ env: { REGISTRY_CONFIGURATION_PATH: path }, flags: {} })
    rmSync(directory, { recursive: true })
    expect(result.warnings).toEqual([])
    expect(result.config?.tags.maxTags).toBe(7)
  })
})

describe('files that people have', () => {
  const rows = [
    [
      "Debian's package starts with warnings only",
      'debian.yml',
      [],
      { kind: 'htpasswd', anonymous: 'none', realm: 'basic-realm', path: '/etc/docker/registry' },
      '/var/lib/docker-registry',
      true,
    ],
    [
      'the official image of version 2 starts with warnings only',
      'image-2.yml',
      ['1: auth'],
      { kind: 'none', anonymous: 'none' },
      '/var/lib/registry',
      false,
    ],
    [
      'the official image of version 3 starts with warnings only',
      'image-3.yml',
      ['1: auth', '14: storage.tag', '19: http.debug.addr'],
      { kind: 'none', anonymous: 'none' },
      '/var/lib/registry',
      true,
    ],
  ] as const
  const debug = { listen: { ...everywhere, port: 5001 }, metricsPath: '/metrics' }
  test.each(rows)('%s', (_, name, warned, auth, directory, deletes) => {
    const result = loadConfig({ file: fixture(name), env: {}, flags: {} })
    expect(result.problems).toEqual([])
    const places = result.warnings.map(({ where, path }) => `${where.replace(`${fixture(name)}:`, '')}: ${path}`)
    expect(places.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))).toEqual([...warned])
    expect(result.config).toEqual({
      ...bare,
      data: { directory, metadata: directory },
      delete: { enabled: deletes },
      http: { ...bare.http, listen: everywhere, debug: name === 'image-3.yml' ? debug : undefined },
      auth,
      tokenServer: undefined,
      health: { ...bare.health, storage: { intervalMs: 10_000, threshold: 3 } },
      log: {
        ...bare.log,
        requests: true,
        level: name === 'image-3.yml' ? 'debug' : 'info',
        fields: { service: 'registry', ...(name === 'image-3.yml' ? { environment: 'development' } : {}) },
      },
    })
  })

  const tokenEnvironment = {
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/var/lib/registry',
    REGISTRY_AUTH: 'token',
    REGISTRY_AUTH_TOKEN_REALM: 'https://localhost:5001/auth',
    REGISTRY_AUTH_TOKEN_SERVICE: 'Docker registry',
    REGISTRY_AUTH_TOKEN_ISSUER: 'Auth Service',
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: '/ssl/server.pem',
    REGISTRY_STORAGE_DELETE_ENABLED: 'true',
  }
  const tokenAuth = {
    kind: 'token',
    anonymous: 'none',
    realm: 'https://localhost:5001/auth',
    service: 'Docker registry',
    issuer: 'Auth Service',
    rootCertBundle: '/ssl/server.pem',
    jwks: undefined,
    signingAlgorithms: undefined,
  } as const

  test('variables that point to a token server elsewhere start no token server here', () => {
    const result = loadText({ env: tokenEnvironment })
    expect(result).toMatchObject({ problems: [], warnings: [] })
    expect(result.config?.auth).toEqual(tokenAuth)
    expect(result.config?.tokenServer).toBeUndefined()
    expect(result.config?.delete.enabled).toBe(true)
  })

  test('the same variables with the file of the token server run both in one process', () => {
    const authFile = fixture('auth-config.yml')
    const result = loadConfig({ authFile, env: tokenEnvironment, flags: {} })
    expect(result).toMatchObject({ problems: [], warnings: [] })
    expect(result.config?.auth).toEqual(tokenAuth)
    const hash = (text: string) => ({ passwordHash: text, labels: {} })
    const rule = (account: string, action: string, line: number) => ({
      match: { account, type: undefined, name: undefined, service: undefined, ip: undefined, labels: undefined },
      actions: [action],
      comment: undefined,
      where: `${authFile}:${line}`,
    })
    expect(result.config?.tokenServer).toEqual({
      ...builtIn,
      listen: { kind: 'tcp', hostname: '::', port: 5001 },
      tls: { certificate: '/ssl/server.pem', key: '/ssl/server.key', minVersion: 'TLSv1.2' },
      issuer: 'Auth Service',
      certificate: '/ssl/server.pem',
      key: '/ssl/server.key',
      users: {
        admin: hash('$2y$05$qm6djieFVAgtipS5YHn14ewQqqvtay5TxzQWuUT5PuNbzPsqbcktq'),
        user01: hash('$2y$05$MJfq57DY1imzu1nIG1TzYu7re3hvunthNcjF.5M0r9lVRE6vzPLq.'),
        user02: hash('$2y$05$R/78VMwYW351w5nSxu5YJeuDsBVkre1UK.Wnhc03kfA645d70TaMa'),
      },
      databaseUsers: false,
      acl: [rule('admin', '*', 16), rule('user01', 'pull', 18), rule('user02', '', 20)],
    })
  })

  test('the file of the token server alone gives the registry its issuer', () => {
    const { config, problems } = loadConfig({ authFile: fixture('auth-config.yml'), env: {}, flags: {} })
    expect(problems).toEqual([])
    expect(config?.auth).toEqual({ ...tokenAuth, realm: undefined, service: 'Berth', rootCertBundle: undefined })
    expect(config?.http.listen).toEqual({ kind: 'tcp', hostname: '127.0.0.1', port: 5000 })
  })

  test('variables for TLS and a htpasswd file', () => {
    const env = {
      REGISTRY_HTTP_TLS_CERTIFICATE: '/certs/domain.crt',
      REGISTRY_HTTP_TLS_KEY: '/certs/domain.key',
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
    }
    const result = loadText({ env })
    expect(result).toMatchObject({ problems: [], warnings: [] })
    expect(result.config?.http.tls).toEqual({
      certificate: '/certs/domain.crt',
      key: '/certs/domain.key',
      minVersion: 'TLSv1.2',
    })
    expect(result.config?.auth).toEqual({
      kind: 'htpasswd',
      anonymous: 'none',
      realm: 'Registry Realm',
      path: '/auth/htpasswd',
    })
    expect(result.config?.tokenServer).toBeUndefined()
  })
})

describe('the token server alone', () => {
  const authFile = 'server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 60}\nusers: {}\nacl: []\n'

  test('reads its file, its own variables and its flags, and leaves those of a registry alone', () => {
    const env = {
      REGISTRY_TOKENSERVER_TOKEN_DISABLE_LEGACY_KEY_ID: 'true',
      REGISTRY_AUTH: 'silly',
      REGISTRY_PROXY_REMOTEURL: 'https://x.example',
      REGISTRY_LOG_LEVEL: 'warn',
    }
    const result = loadTokenServerText({ authFile, env, flags: { addr: '127.0.0.1:9', data: '/d' } })
    expect(result).toMatchObject({ problems: [], warnings: [] })
    expect(result.config).toEqual({
      tokenServer: {
        ...builtIn,
        listen: { kind: 'tcp', hostname: '127.0.0.1', port: 9 },
        issuer: 'A',
        expiration: 60,
        keyId: 'rfc7638',
        users: {},
        databaseUsers: false,
        acl: [],
      },
      data: { directory: '/d', metadata: '/d' },
      log: { ...bare.log, level: 'warn', requests: true },
    })
  })

  test('keeps its data apart from that of a registry', () => {
    expect(loadTokenServerText({ authFile }).config?.data.directory).toBe('./berth-auth-data')
  })

  const chosen: [sentence: string, texts: Parameters<typeof loadTokenServerText>[0], given: boolean][] = [
    ['nobody chose the data directory when nothing is said', { authFile }, false],
    ['--data chooses the data directory', { authFile, flags: { data: '/d' } }, true],
    ['a folder for the database chooses as well', { authFile, env: { REGISTRY_METADATA_PATH: '/m' } }, true],
    ['an address chooses no data directory', { authFile, flags: { addr: ':1' } }, false],
    ['the choice is known of a file with problems too', { authFile: 'acl: 1\n', flags: { data: '/d' } }, true],
  ]
  test.each(chosen)('%s', (_, texts, given) => {
    expect(loadTokenServerText(texts).dataGiven).toBe(given)
  })

  test('a missing file is a problem', () => {
    const result = loadConfig({ authFile: '/nowhere/a.yml', env: {}, flags: {} })
    expect(result.config).toBeUndefined()
    expect(lines(result.problems)).toEqual(['/nowhere/a.yml: there is no such file'])
  })
})
