import type {
  BackupConfig,
  GcConfig,
  RetentionConfig,
  SpaceConfig,
  TrashConfig,
  VerifyConfig,
} from './config-collection.ts'

export type * from './config-collection.ts'

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
  /** Kinds of images that may be pushed (`image`, `plugin`); empty for all. */
  policy: { classes: string[] }
  cache: {
    /** Blobs that memory holds the place of; undefined: as many as Berth finds right. */
    blobs: number | undefined
  }
  catalog: { maxEntries: number }
  tags: { maxTags: number }
  log: LogConfig
  notifications: NotificationsConfig
  health: HealthConfig
  uploads: {
    /** Advertised as OCI-Chunk-Min-Length; 0 advertises nothing. Bytes. */
    chunkMinLength: number
    /** distribution's `storage.maintenance.uploadpurging`. */
    purging: { enabled: boolean; ageMs: number; intervalMs: number; dryRun: boolean }
  }
  gc: GcConfig
  trash: TrashConfig
  space: SpaceConfig
  backup: BackupConfig
  verify: VerifyConfig
  immutable: ImmutableConfig[]
  retention: RetentionConfig
  quotas: QuotaConfig[]
}

/** Tags that do not move. Patterns are those of `oci/selector.ts`. */
export interface ImmutableConfig {
  name: string
  repositories: string[]
  tags: string[]
}

/** How much repositories below a prefix may hold; undefined: as much as there is room for. */
export interface QuotaConfig {
  /** `''` for all. */
  prefix: string
  limits: { bytes: number | undefined; tags: number | undefined; repositories: number | undefined }
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
  /** A listener of its own for health, metrics and probes; undefined: none. */
  debug: DebugConfig | undefined
}

export interface DebugConfig {
  listen: Listen
  /** Path of Prometheus' metrics; undefined: none are served, and nothing is counted for them. */
  metricsPath: string | undefined
}

export type Listen = { kind: 'tcp'; hostname: string; port: number } | { kind: 'unix'; path: string }

export interface TlsConfig {
  certificate: string
  key: string
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Suites of TLS 1.2 in OpenSSL's names, separated by colons; not there: every safe one. */
  ciphers?: string
  /** Curves in OpenSSL's names, separated by colons, the best first; not there: every safe one. */
  curves?: string
  /** What clients must show; not there: they are not asked for a certificate. */
  clients?: ClientCertificates
  /** Not there: the operator makes the files. */
  managed?: ManagedTls
}

/** Who makes the certificate in place of the operator. `TlsConfig.certificate` and `key` are then one file of Berth's. */
export type ManagedTls =
  | {
      /** Berth's own authority. */
      kind: 'auto'
      /** Names and addresses beside those that the machine knows of itself. */
      names: string[]
    }
  | {
      /** An ACME authority, by HTTP-01. */
      kind: 'acme'
      directoryUrl: string
      /** PEM file of the authority of the ACME server's own certificate; undefined: those of the system. */
      directoryCa: string | undefined
      email: string | undefined
      hosts: [string, ...string[]]
      /** Where the authority asks. */
      httpAddr: Listen
    }

export interface ClientCertificates {
  /** PEM files of the authorities. */
  authorities: string[]
  /** `require`: a valid certificate of one of them, or no connection. `request`: asked for, and not looked at. */
  mode: 'require' | 'request'
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
  /** A file of Apache's htpasswd with more users. */
  htpasswd: string | undefined
  extAuth: CommandConfig | undefined
  /** Sign-in in the browser, in the order of docker_auth: google, github, oidc, gitlab. */
  signIn: SignInConfig[]
  ldap: LdapConfig | undefined
  mongoUsers: MongoConfig | undefined
  sqlUsers: SqlConfig | undefined
  /** Undefined (and no other source of rules): Berth's own rules. */
  acl: AclEntry[] | undefined
  aclMode: 'first-match' | 'union'
  aclMongo: (MongoConfig & { cacheTtlMs: number }) | undefined
  aclSql: (SqlConfig & { cacheTtlMs: number }) | undefined
  extAuthz: CommandConfig | undefined
  casbin: { model: string; policy: string } | undefined
  anonymous: 'none' | 'pull'
  refreshTokens: {
    /** `auto`: where the data directory was chosen by the operator, for they must outlive a restart. */
    issue: 'auto' | 'always' | 'never'
    /** Milliseconds without use after which one ends. */
    lifeMs: number
  }
  /** CIDR blocks whose X-Forwarded-For is believed, on the token server's own listener. */
  trustedProxies: string[]
  throttle: ThrottleConfig
  audit: AuditConfig
}

/** A program that answers by its exit code. */
export interface CommandConfig {
  command: string
  args: string[]
  timeoutMs: number
  /** Children at once; more wait. */
  maxChildren: number
}

/** Failed logins that are free, and how long the next ones wait. */
export interface ThrottleConfig {
  enabled: boolean
  /** Failures of one account from one address. */
  perAccount: number
  /** Failures of all accounts from one address. */
  perAddress: number
  /** Milliseconds after which failures are forgotten. */
  windowMs: number
}

export interface AuditConfig {
  /** Rows older than this go; milliseconds. */
  keepMs: number
  /** Rows at most. */
  keepRows: number
  /** A file of JSON lines besides, undefined for none. */
  file: string | undefined
}

export interface LdapConfig {
  /** Asked in order until one answers. */
  servers: { host: string; port: number }[]
  /** `none`, `starttls`, or `always` (LDAPS). */
  tls: 'none' | 'starttls' | 'always'
  insecureTlsSkipVerify: boolean
  caCertificate: string | undefined
  /** May hold `${account}` when `initialBindAsUser`. */
  bindDn: string
  /** Read at each bind, so that a new password needs no restart. */
  bindPasswordFile: string | undefined
  initialBindAsUser: boolean
  base: string
  filter: string
  labels: Record<string, { attribute: string; parseCn: boolean; lowerCase: boolean }>
  timeoutMs: number
}

export interface SqlConfig {
  type: 'mysql' | 'postgres' | 'sqlite3'
  /** As Go's drivers take it. */
  connection: string
}

export interface MongoConfig {
  addrs: string[]
  database: string
  collection: string
  username: string | undefined
  password: string | undefined
  passwordFile: string | undefined
  enableTls: boolean
  timeoutMs: number
}

interface OAuthClient {
  clientId: string
  clientSecret: string | undefined
  clientSecretFile: string | undefined
  httpTimeoutMs: number
  /** What the page after sign-in tells people to log in to. */
  registryUrl: string | undefined
}

export type SignInConfig =
  | (OAuthClient & { kind: 'google'; domain: string | undefined })
  | (OAuthClient & {
      kind: 'github'
      organization: string | undefined
      webUri: string
      apiUri: string
      /** 0 where nothing is said. */
      revalidateAfterMs: number
    })
  | (OAuthClient & {
      kind: 'gitlab'
      organization: string | undefined
      webUri: string
      apiUri: string
      redirectUri: string | undefined
      /** 0 where nothing is said. */
      revalidateAfterMs: number
    })
  | (OAuthClient & {
      kind: 'oidc'
      issuer: string
      redirectUrl: string
      userClaim: string
      labelsClaims: string[]
      scopes: string[]
    })

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

export interface NotificationsConfig {
  includeReferences: boolean
  endpoints: EndpointConfig[]
}

/** Who is told of events. */
export interface EndpointConfig {
  /** Unlike that of any other. */
  name: string
  disabled: boolean
  /** May hold a password; may be no URL at all where it is disabled. */
  url: string
  headers: Record<string, string[]>
  timeoutMs: number
  /** Failures in a row after which it is left alone. */
  threshold: number
  backoffMs: number
  ignoredMediaTypes: string[]
  ignoredActions: string[]
  /** Of the envelope. */
  mediaType: string
  /** 0: any number. */
  maxAttempts: number
  /** 0: for ever. */
  maxAgeMs: number
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
  /** "response completed" for each request. */
  requests: boolean
  reportCaller: boolean
  mails: MailHook[]
}

/** Mails about lines of the log. */
export interface MailHook {
  levels: LogConfig['level'][]
  host: string
  port: number
  username: string | undefined
  password: string | undefined
  /** Takes any certificate. */
  insecure: boolean
  from: string
  to: string[]
}

/** Checks that take the registry out of service while they fail. */
export interface HealthConfig {
  storage: HealthTiming | undefined
  files: (HealthTiming & { file: string })[]
  urls: (HealthTiming & { url: string; headers: Record<string, string[]>; status: number; timeoutMs: number })[]
  addresses: (HealthTiming & { hostname: string; port: number; timeoutMs: number })[]
}

export interface HealthTiming {
  intervalMs: number
  /** Failures in a row that count; at least 1. */
  threshold: number
}
