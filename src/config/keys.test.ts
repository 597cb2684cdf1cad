import { describe, expect, test } from 'bun:test'
import type { Config } from './config.ts'
import { distributionSchema } from './distribution.ts'
import { lines, loadText } from './fixtures/load-text.ts'
import { docOf, type Shape, shapeOf } from './schema.ts'

/**
 * Every key of registry 2.8 and 3 (their `configuration.go` and handlers), and what becomes of it. `[]` is an element of a list,
 * `*` a name.
 */
const works = (value: unknown, pick: (config: Config) => unknown, expected: unknown) =>
  ({ outcome: 'works', value, pick, expected }) as const
const warned = (value: unknown, text: string) => ({ outcome: 'warned', value, text }) as const
const refused = (value: unknown, text: string) => ({ outcome: 'refused', value, text }) as const

type Outcome = ReturnType<typeof works | typeof warned | typeof refused>

const noEffect = 'this key has no effect in Berth'
const notYet = 'Berth knows this key but does not do what it asks yet'
const noRedis = warned('x', noEffect)
const noProxy = refused('x', notYet)

const keys: Record<string, Outcome> = {
  version: refused('0.2', 'unsupported version: "0.2"'),
  loglevel: works('warn', (c) => c.log.level, 'warn'),
  'storage.filesystem.rootdirectory': works('/e', (c) => c.data.directory, '/e'),
  'storage.filesystem.maxthreads': warned(100, noEffect),
  'storage.inmemory': refused(null, notYet),
  'storage.s3': refused(null, notYet),
  'storage.s3aws': refused(null, notYet),
  'storage.azure': refused(null, notYet),
  'storage.gcs': refused(null, notYet),
  'storage.swift': refused(null, notYet),
  'storage.oss': refused(null, notYet),
  'storage.delete.enabled': works(true, (c) => c.delete.enabled, true),
  // Blobs of a filesystem are served by the registry, in the original too.
  'storage.redirect.disable': works(true, (c) => c.data.directory, '/d'),
  'storage.cache.blobdescriptor': works('inmemory', (c) => c.cache.blobs, undefined),
  'storage.cache.blobdescriptorsize': works(10_000, (c) => c.cache.blobs, 10_000),
  'storage.cache.layerinfo': works('inmemory', (c) => c.cache.blobs, undefined),
  'storage.tag.concurrencylimit': warned(5, noEffect),
  'storage.maintenance.uploadpurging.enabled': works(false, (c) => c.uploads.purging.enabled, false),
  'storage.maintenance.uploadpurging.age': works('2h', (c) => c.uploads.purging.ageMs, 7_200_000),
  'storage.maintenance.uploadpurging.interval': works('2h', (c) => c.uploads.purging.intervalMs, 7_200_000),
  'storage.maintenance.uploadpurging.dryrun': works(true, (c) => c.uploads.purging.dryRun, true),
  'storage.maintenance.readonly.enabled': works(true, (c) => c.readOnly, true),
  'auth.none': works(null, (c) => c.auth.kind, 'none'),
  'auth.silly': refused({ realm: 'r', service: 's' }, notYet),
  'auth.htpasswd.realm': refused('r', '"path" must be set for htpasswd access controller'),
  'auth.htpasswd.path': refused('/p', '"realm" must be set for htpasswd access controller'),
  'auth.token.realm': works('https://t/auth', (c) => c.auth.kind === 'token' && c.auth.realm, 'https://t/auth'),
  'auth.token.service': works('s', (c) => c.auth.kind === 'token' && c.auth.service, 's'),
  'auth.token.issuer': works('i', (c) => c.auth.kind === 'token' && c.auth.issuer, 'i'),
  'auth.token.rootcertbundle': refused('/b', 'token auth requires a valid option string: "realm"'),
  'auth.token.jwks': refused('/j', 'token auth requires a valid option string: "realm"'),
  'auth.token.signingalgorithms': works(['ES256'], (c) => c.auth.kind === 'token' && c.auth.signingAlgorithms, [
    'ES256',
  ]),
  'auth.token.autoredirect': works(true, (c) => c.auth.kind === 'token' && c.auth.realm, undefined),
  'auth.token.autoredirectpath': warned('/auth', 'has no effect unless autoredirect is true'),
  'middleware.registry[].name': refused('x', notYet),
  'middleware.repository[].name': refused('x', notYet),
  'middleware.storage[].name': warned('redirect', 'redirect has no effect in Berth, which serves blobs itself'),
  'middleware.storage[].disabled': works(true, (c) => c.data.directory, '/d'),
  'middleware.storage[].options': refused({ a: 1 }, 'storage middleware not registered with name: '),
  'reporting.bugsnag.apikey': warned('k', noEffect),
  'reporting.bugsnag.releasestage': warned('k', noEffect),
  'reporting.bugsnag.endpoint': warned('k', noEffect),
  'reporting.newrelic.licensekey': warned('k', noEffect),
  'reporting.newrelic.name': warned('k', noEffect),
  'reporting.newrelic.verbose': warned(true, noEffect),
  'http.addr': works(':7', (c) => c.http.listen, { kind: 'tcp', hostname: '::', port: 7 }),
  'http.net': refused('unix', 'is unix, but http.addr does not name the socket'),
  'http.prefix': works('/r/', (c) => c.http.prefix, '/r/'),
  'http.host': works('https://r.example', (c) => c.http.host, 'https://r.example'),
  // Upload URLs are not signed, because the session is in the database: every secret is as good as none.
  'http.secret': works('s', (c) => c.http.host, undefined),
  'http.relativeurls': works(true, (c) => c.http.relativeUrls, true),
  'http.draintimeout': works('1m', (c) => c.http.drainTimeoutMs, 60_000),
  'http.headers.*': works(['v'], (c) => c.http.headers, { any: ['v'] }),
  'redis.addr': noRedis,
  'redis.addrs': warned(['x'], noEffect),
  'redis.clientname': noRedis,
  'redis.connmaxidletime': noRedis,
  'redis.connmaxlifetime': noRedis,
  'redis.contexttimeoutenabled': noRedis,
  'redis.db': noRedis,
  'redis.dialtimeout': noRedis,
  'redis.disableidentity': noRedis,
  'redis.identitysuffix': noRedis,
  'redis.mastername': noRedis,
  'redis.maxactiveconns': noRedis,
  'redis.maxidleconns': noRedis,
  'redis.maxredirects': noRedis,
  'redis.maxretries': noRedis,
  'redis.maxretrybackoff': noRedis,
  'redis.minidleconns': noRedis,
  'redis.minretrybackoff': noRedis,
  'redis.password': noRedis,
  'redis.pool.idletimeout': noRedis,
  'redis.pool.maxactive': noRedis,
  'redis.pool.maxidle': noRedis,
  'redis.poolfifo': noRedis,
  'redis.poolsize': noRedis,
  'redis.pooltimeout': noRedis,
  'redis.protocol': noRedis,
  'redis.readonly': noRedis,
  'redis.readtimeout': noRedis,
  'redis.routebylatency': noRedis,
  'redis.routerandomly': noRedis,
  'redis.sentinelpassword': noRedis,
  'redis.sentinelusername': noRedis,
  'redis.tls.certificate': noRedis,
  'redis.tls.enabled': noRedis,
  'redis.tls.key': noRedis,
  'redis.tls.rootcas': warned(['x'], noEffect),
  'redis.unstableresp3': noRedis,
  'redis.username': noRedis,
  'redis.writetimeout': noRedis,
  'catalog.maxentries': works(7, (c) => c.catalog.maxEntries, 7),
  'tags.maxtags': works(7, (c) => c.tags.maxTags, 7),
  'proxy.remoteurl': noProxy,
  // Without a remoteurl there is no mirror, in the original too.
  'proxy.username': works('x', (c) => c.data.directory, '/d'),
  'proxy.password': works('x', (c) => c.data.directory, '/d'),
  'proxy.ttl': works('1h', (c) => c.data.directory, '/d'),
  'proxy.exec.command': works('x', (c) => c.data.directory, '/d'),
  'proxy.exec.lifetime': works('1h', (c) => c.data.directory, '/d'),
  'proxy.cachewritetimeout': works('1h', (c) => c.data.directory, '/d'),
  'compatibility.schema1.enabled': warned(true, noEffect),
  'compatibility.schema1.signingkeyfile': warned('/k', noEffect),
  'validation.enabled': works(true, (c) => c.validation.enabled, true),
  'validation.disabled': works(true, (c) => c.validation.enabled, false),
  'validation.manifests.urls.allow': works(['^a'], (c) => c.validation.urls.allow, ['^a']),
  'validation.manifests.urls.deny': works(['^a'], (c) => c.validation.urls.deny, ['^a']),
  'validation.manifests.indexes.platforms': works('none', (c) => c.validation.indexes, { platforms: 'none' }),
  'validation.manifests.indexes.platformlist[].architecture': refused('a', 'must have architecture and os'),
  'validation.manifests.indexes.platformlist[].os': refused('o', 'must have architecture and os'),
  'policy.repository.classes': works(['plugin'], (c) => c.policy.classes, ['plugin']),
}

/** Keys whose outcomes are in tests of their own. */
const elsewhere = `
log.level log.formatter log.fields.* log.accesslog.disabled log.reportcaller log.hooks[].disabled log.hooks[].type
log.hooks[].levels log.hooks[].options.smtp.addr log.hooks[].options.smtp.username log.hooks[].options.smtp.password
log.hooks[].options.smtp.insecure log.hooks[].options.from log.hooks[].options.to
http.tls.certificate http.tls.key http.tls.clientcas http.tls.clientauth http.tls.minimumtls http.tls.ciphersuites
http.tls.letsencrypt.cachefile http.tls.letsencrypt.email http.tls.letsencrypt.hosts http.tls.letsencrypt.directoryurl
http.debug.addr http.debug.prometheus.enabled http.debug.prometheus.path http.http2.disabled http.h2c.enabled
notifications.events.includereferences notifications.endpoints[].name notifications.endpoints[].disabled
notifications.endpoints[].url notifications.endpoints[].headers notifications.endpoints[].timeout
notifications.endpoints[].threshold notifications.endpoints[].backoff notifications.endpoints[].ignoredmediatypes
notifications.endpoints[].ignore.mediatypes notifications.endpoints[].ignore.actions
health.storagedriver.enabled health.storagedriver.interval health.storagedriver.threshold
health.file[].file health.file[].interval health.file[].threshold health.http[].uri health.http[].headers
health.http[].statuscode health.http[].timeout health.http[].interval health.http[].threshold
health.tcp[].addr health.tcp[].timeout health.tcp[].interval health.tcp[].threshold
`
  .trim()
  .split(/\s+/)

test.each([...Object.keys(keys), ...elsewhere])('the schema has %s', (key) => {
  let schema: Parameters<typeof shapeOf>[0] | undefined = distributionSchema
  for (const part of key.replaceAll('[]', '.[]').split('.')) {
    const shape: Shape | undefined = schema === undefined ? undefined : shapeOf(schema)
    if (shape?.kind === 'map') schema = shape.keys[part]
    else if (shape?.kind === 'list') schema = part === '[]' ? shape.item : undefined
    else schema = shape?.kind === 'record' && part === '*' ? shape.value : undefined
  }
  expect(schema).toBeDefined()
  if (!key.endsWith('*')) expect((schema && docOf(schema)) ?? '').not.toBe('')
})

/** `{http: {headers: {any: value}}}` of `http.headers.*`. */
function nest(key: string, value: unknown): Record<string, unknown> {
  let node = value
  for (const part of key.replaceAll('[]', '.[]').replaceAll('*', 'any').split('.').reverse()) {
    node = part === '[]' ? [node] : { [part]: node }
  }
  return node as Record<string, unknown>
}

const base = { version: '0.1', storage: { filesystem: { rootdirectory: '/d' } }, auth: 'none' }

describe('what becomes of each key', () => {
  test.each(Object.entries(keys))('%s', (key, row) => {
    const own = nest(key, row.value)
    // A driver and a kind of authentication take the place of the base's; other parts of storage join it.
    const isPart = key.startsWith('storage.') && !/^storage\.(inmemory|s3|s3aws|azure|gcs|swift|oss)$/.test(key)
    const storage = isPart ? { filesystem: { rootdirectory: '/d' }, ...(own.storage as object) } : undefined
    const file = JSON.stringify({ ...base, ...own, ...(storage === undefined ? {} : { storage }) })
    const { config, problems, warnings } = loadText({ file })
    const texts = (found: typeof problems) => lines(found).map((line) => line.replace(/^config\.yml:1: [^ ]+: /, ''))
    if (row.outcome === 'refused') {
      expect(texts(problems)).toContain(row.text)
      expect(config).toBeUndefined()
      return
    }
    expect(lines(problems)).toEqual([])
    if (row.outcome === 'warned') {
      expect(texts(warnings)).toEqual([row.text])
      return
    }
    expect(lines(warnings)).toEqual([])
    expect(config && row.pick(config)).toEqual(row.expected)
  })
})
