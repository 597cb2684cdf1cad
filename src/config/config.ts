/**
 * The configuration as the program uses it: every default resolved, every path absolute or as the user gave it,
 * durations in milliseconds. `load.ts` makes it from files and environment; nothing else reads those.
 */
export interface Config {
  data: {
    /** Storage root: what distribution calls `storage.filesystem.rootdirectory`. */
    directory: string
    /** Folder of the database; differs from `directory` where that is on a network file system (`metadata.path`). */
    metadata: string
  }
  delete: { enabled: boolean }
  readOnly: boolean
  http: HttpConfig
  auth: AuthConfig
  /** The token server that runs in this process, if any. */
  tokenServer: TokenServerConfig | undefined
  validation: ValidationConfig
  catalog: { maxEntries: number }
  tags: { maxTags: number }
  log: LogConfig
  uploads: {
    /** Advertised as OCI-Chunk-Min-Length; 0 advertises nothing. Bytes. */
    chunkMinLength: number
  }
}

export interface HttpConfig {
  listen: Listen
  /** Path before `/v2/`, with leading and trailing slash; `/` for none. */
  prefix: string
  /** External base URL (`https://registry.example`), which beats everything that a request says. */
  host: string | undefined
  relativeUrls: boolean
  /** Added to every routed response. */
  headers: Record<string, string[]>
  tls: TlsConfig | undefined
  drainTimeoutMs: number
  /** CIDR blocks whose X-Forwarded-For is believed. */
  trustedProxies: string[]
}

export type Listen = { kind: 'tcp'; hostname: string; port: number } | { kind: 'unix'; path: string }

export interface TlsConfig {
  certificate: string
  key: string
  minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export type AuthConfig = { anonymous: 'none' | 'pull' } & (
  | { kind: 'none' }
  | { kind: 'htpasswd'; realm: string; path: string }
  | {
      kind: 'token'
      /** Undefined: made from the request (`<its scheme and host>/auth`). */
      realm: string | undefined
      /** Path of a realm made from the request, when a foreign token server answers there; `/auth` when it is not given. */
      realmPath?: string
      service: string
      issuer: string
      /** Trust in tokens that somebody else signed; Berth's own token server is trusted besides, when it runs here. */
      rootCertBundle: string | undefined
      jwks: string | undefined
      signingAlgorithms: string[] | undefined
    }
)

export interface TokenServerConfig {
  /** A listener of its own (docker_auth's `server.addr`); undefined: only at `/auth` of the registry's. */
  listen: Listen | undefined
  tls: TlsConfig | undefined
  pathPrefix: string
  hsts: boolean
  realIpHeader: string | undefined
  realIpPos: number
  issuer: string
  /** Seconds. */
  expiration: number
  /** PEM files of the signing pair; undefined: Berth makes a pair of its own in the data directory. */
  certificate: string | undefined
  key: string | undefined
  /** `kid`: libtrust fingerprint (registry 2.x) or RFC 7638 thumbprint (registry 3). */
  keyId: 'libtrust' | 'rfc7638'
  x5c: 'auto' | 'always' | 'never'
  /** Undefined: the config names no static users. An entry without password accepts any. */
  users: Record<string, StaticUser> | undefined
  /** Users of the metadata database (made by `berth user`) may log in too. */
  databaseUsers: boolean
  /** First match wins. Undefined: Berth's own rules (administrators everything, other users pull and push). */
  acl: AclEntry[] | undefined
  anonymous: 'none' | 'pull'
}

export interface StaticUser {
  /** bcrypt hash; undefined: any password is right (docker_auth's `name: {}`). */
  passwordHash: string | undefined
  labels: Record<string, string[]>
}

export interface AclEntry {
  match: {
    account?: string | undefined
    type?: string | undefined
    name?: string | undefined
    service?: string | undefined
    ip?: string | undefined
    labels?: Record<string, string> | undefined
  }
  actions: string[]
  comment: string | undefined
  /** `auth_config.yml:23`, for messages and the audit log. */
  where: string
}

export interface ValidationConfig {
  enabled: boolean
  /** Patterns (RE2) that the `urls` of non-distributable layers must match; with both lists empty none is allowed. */
  urls: { allow: string[]; deny: string[] }
  /** Which children of an index must exist when it is put. */
  indexes: { platforms: 'all' | 'none' } | { platforms: 'list'; list: { architecture: string; os: string }[] }
}

export interface LogConfig {
  level: 'error' | 'warn' | 'info' | 'debug'
  formatter: 'text' | 'json' | 'logstash'
  fields: Record<string, unknown>
  accessLog: boolean
}
