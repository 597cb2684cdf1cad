import type { Pair } from '../certificates.ts'
import { type Credentials, ISSUER, SERVICE } from './credentials.ts'

/** How a server is reached: plain, with bearer tokens, or over TLS. */
export type Access = 'plain' | 'token' | 'tls'

export interface Settings {
  access: Access
  dataDirectory: string
  port: number
  /** Sections that only Berth has. */
  more?: Record<string, unknown> | undefined
}

/** A config.yml in distribution's format, which both servers read as it is; the cache is that of Debian's own file. */
export function registryConfig(settings: Settings, credentials: Credentials): string {
  return JSON.stringify({
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: settings.dataDirectory },
      cache: { blobdescriptor: 'inmemory' },
      delete: { enabled: true },
    },
    http: {
      addr: `127.0.0.1:${settings.port}`,
      ...(settings.access === 'tls' ? { tls: credentials.tls } : {}),
    },
    auth: settings.access === 'token' ? { token: tokenAuth(credentials) } : 'none',
    ...settings.more,
  })
}

function tokenAuth(credentials: Credentials) {
  return {
    realm: 'https://127.0.0.1/auth',
    service: SERVICE,
    issuer: ISSUER,
    rootcertbundle: credentials.rsa.certificate,
  }
}

export interface TokenServerSettings {
  /** Serves over TLS with this one. */
  tls: Pair
  /** Signs with this one. */
  signing: Pair
  /** Name to bcrypt hash. */
  users: ReadonlyMap<string, string>
}

/** An auth_config.yml in docker_auth's format, behind a proxy on the same machine; the command line names its address. */
export function tokenServerConfig({ tls, signing, users }: TokenServerSettings): string {
  return JSON.stringify({
    server: { addr: '127.0.0.1:0', certificate: tls.certificate, key: tls.key, trustedproxies: ['127.0.0.1'] },
    token: { issuer: ISSUER, expiration: 900, certificate: signing.certificate, key: signing.key },
    users: Object.fromEntries([...users].map(([name, hash]) => [name, { password: hash }])),
    acl: [{ match: { account: '/.+/' }, actions: ['*'] }],
  })
}
