import { z } from 'zod'
import { anything, flag, list, part, path, secret, section, seldom, text, texts } from './schema.ts'

/** Other programs that the original talks to, or loads: none of them is used. */

const redisOptions: Record<string, string> = {
  addr: 'HOST:PORT (registry 2)',
  clientname: 'Name of the connections',
  db: 'Number of the database',
  protocol: 'Version of the protocol',
  username: 'User',
  sentinelusername: 'User of the sentinels',
  maxretries: 'Attempts of a command',
  minretrybackoff: 'Least wait between two attempts',
  maxretrybackoff: 'Longest wait between two attempts',
  dialtimeout: 'Limit for connecting',
  readtimeout: 'Limit for a read',
  writetimeout: 'Limit for a write',
  contexttimeoutenabled: 'Whether limits of a request count',
  poolfifo: 'Order of the pool',
  poolsize: 'Connections at most',
  pooltimeout: 'Longest wait for a connection',
  minidleconns: 'Least idle connections',
  maxidleconns: 'Most idle connections',
  maxactiveconns: 'Most connections',
  connmaxidletime: 'How long a connection may be idle',
  connmaxlifetime: 'How long a connection is used',
  maxredirects: 'Redirects of a cluster',
  readonly: 'Read from replicas',
  routebylatency: 'Read from the nearest',
  routerandomly: 'Read from any',
  mastername: 'Name of the master for sentinels',
  disableidentity: 'Do not name the library',
  identitysuffix: 'Added to the name of the library',
  unstableresp3: 'Answers of version 3',
}

const documented = <K extends string>(keys: Record<K, string>) =>
  Object.fromEntries(Object.entries<string>(keys).map(([key, doc]) => [key, anything(doc)])) as Record<
    K,
    ReturnType<typeof anything>
  >

export const redis = seldom(
  () =>
    z.object({
      ...documented(redisOptions),
      addrs: texts('HOST:PORT of each server (registry 3)'),
      password: secret('Password'),
      sentinelpassword: secret('Password of the sentinels'),
      pool: part(
        documented({
          maxidle: 'Most idle connections',
          maxactive: 'Most connections',
          idletimeout: 'How long a connection may be idle',
        }),
        'Pool of connections (registry 2)',
      ),
      tls: part(
        {
          enabled: anything('Encrypt (registry 2)'),
          certificate: path('PEM file with the certificate of the client'),
          key: path('PEM file with its key'),
          rootcas: texts('PEM files of the authorities that sign servers'),
        },
        'TLS to Redis',
      ),
    }),
  'Where the original keeps descriptors, for several replicas',
)

export const proxy = seldom(
  () =>
    z.object({
      remoteurl: text('Registry to mirror'),
      username: text('User there'),
      password: secret('Password there'),
      ttl: anything('How long content is kept'),
      exec: part(
        documented({ command: 'Credential helper', lifetime: 'How long its answer is used' }),
        'Program that knows user and password',
      ),
      cachewritetimeout: anything('Limit for a write'),
    }),
  'Pull-through cache',
)

const middlewares = (doc: string) =>
  list(
    () =>
      z.object({
        name: text('Name of the middleware'),
        disabled: flag(false, 'Leave it out'),
        options: anything('Its options'),
      }),
    doc,
  )

export const middleware = section(
  {
    registry: middlewares('Around the registry'),
    repository: middlewares('Around each repository'),
    storage: middlewares('Around the storage: redirect, rewrite, cloudfront'),
  },
  'Parts of the original that are compiled into it',
)

export const reporting = seldom(
  () =>
    z.object({
      bugsnag: part(
        {
          apikey: secret('Key'),
          ...documented({ releasestage: 'Stage', endpoint: 'URL of another server' }),
        },
        'Bugsnag (registry 2)',
      ),
      newrelic: part(
        {
          licensekey: secret('Key'),
          ...documented({ name: 'Name of the application', verbose: 'Log what is sent' }),
        },
        'New Relic (registry 2)',
      ),
    }),
  'Services that the original reports errors to',
)
