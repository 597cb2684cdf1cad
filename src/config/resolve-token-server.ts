import type { StaticUser, TlsConfig, TokenServerConfig } from './config.ts'
import { authenticatorKeys, authorizerKeys, type DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveAcl } from './resolve-acl.ts'
import { resolveListen } from './resolve-http.ts'

export const DEFAULT_ISSUER = 'Berth'
/** Seconds: the life of a token where no file says otherwise. */
export const DEFAULT_EXPIRATION = 900

/** The token server that Berth runs when nothing describes one: its own key and rules, users of the database. */
export function builtInTokenServer(issuer: string, anonymous: TokenServerConfig['anonymous']): TokenServerConfig {
  return {
    listen: undefined,
    tls: undefined,
    pathPrefix: '',
    hsts: false,
    realIpHeader: undefined,
    realIpPos: 0,
    issuer,
    expiration: DEFAULT_EXPIRATION,
    certificate: undefined,
    key: undefined,
    keyId: 'libtrust',
    x5c: 'auto',
    users: undefined,
    databaseUsers: true,
    acl: undefined,
    anonymous,
  }
}

export interface TokenServerInput {
  /**
   * True for docker_auth's own file, whose required keys are required here too; under `tokenserver:` of the registry's
   * file each has a default.
   */
  isFile: boolean
  /** What `auth.token.issuer` says: the default of `token.issuer` under `tokenserver:`. */
  issuer: string | undefined
  anonymous: TokenServerConfig['anonymous']
}

/** Checks docker_auth's rules, with its messages (`server/config.go`, validate and LoadConfig). */
export function resolveTokenServer(raw: DockerAuth, input: TokenServerInput, places: Places): TokenServerConfig {
  const at = (...path: string[]): Path => ['tokenserver', ...path]
  const { server, token } = raw
  const given = (key: string): boolean => isGiven(places.root, at(key))

  if (input.isFile) {
    if (!server.addr) places.problem(at('server', 'addr'), 'server.addr is required', 'Write one such as ":5001".')
    if (!token.issuer)
      places.problem(at('token', 'issuer'), 'token.issuer is required', "It must be the registry's auth.token.issuer.")
    if (![...authenticatorKeys, 'users'].some(given)) {
      places.problem(
        at('users'),
        'no auth methods are configured, this is probably a mistake. Use an empty user map if you really want to deny everyone',
      )
    }
    if (!authorizerKeys.some(given)) {
      const message =
        'ACL is empty, this is probably a mistake. Use an empty list if you really want to deny all actions'
      places.problem(at('acl'), message)
    }
  }
  if (raw.ext_auth === undefined && given('ext_auth') && !isGiven(places.root, at('ext_auth', 'command'))) {
    places.problem(at('ext_auth', 'command'), 'bad ext_auth config: command is not set')
  }
  if (server.net !== undefined && !['', 'tcp', 'unix'].includes(server.net)) {
    places.problem(at('server', 'net'), 'server.net must be unix or tcp')
  }
  if (server.path_prefix && !server.path_prefix.startsWith('/')) {
    places.problem(at('server', 'path_prefix'), 'server.path_prefix must be an absolute path')
  }
  const expiration = token.expiration ?? (input.isFile ? 0 : DEFAULT_EXPIRATION)
  if (expiration <= 0) {
    places.problem(
      at('token', 'expiration'),
      `expiration must be positive, got ${expiration}`,
      'Write seconds, such as 900.',
    )
  }
  const net = server.net === 'unix' ? 'unix' : 'tcp'
  return {
    listen: server.addr ? resolveListen(net, server.addr, at('server', 'addr'), places) : undefined,
    tls: resolveTls(raw, at, places),
    pathPrefix: server.path_prefix ?? '',
    hsts: server.hsts,
    realIpHeader: server.real_ip_header || undefined,
    realIpPos: server.real_ip_pos,
    issuer: token.issuer || input.issuer || DEFAULT_ISSUER,
    expiration,
    ...resolvePair(raw, at, places),
    keyId: token.disable_legacy_key_id ? 'rfc7638' : 'libtrust',
    x5c: token.x5c,
    users: raw.users === undefined ? undefined : resolveUsers(raw.users, at('users'), places),
    // A file that names users (docker_auth's always does) is the whole truth about who may log in.
    databaseUsers: !input.isFile && raw.users === undefined,
    acl: raw.acl === undefined ? undefined : resolveAcl(raw.acl, at('acl'), places),
    anonymous: input.anonymous,
  }
}

function resolveTls({ server }: DockerAuth, at: (...path: string[]) => Path, places: Places): TlsConfig | undefined {
  const minVersion = resolveMinVersion(server.tls_min_version ?? '', at, places)
  if (minVersion === 'TLSv1.3' && isGiven(places.root, at('server', 'tls_cipher_suites'))) {
    places.problem(at('server', 'tls_cipher_suites'), 'TLS 1.3 ciphersuites are not configurable', 'Remove the key.')
  }
  const letsEncrypt = server.letsencrypt === undefined && isGiven(places.root, at('server', 'letsencrypt', 'email'))
  if (letsEncrypt && !server.certificate && !isGiven(places.root, at('server', 'letsencrypt', 'cache_dir'))) {
    places.problem(at('server', 'letsencrypt', 'cache_dir'), 'server.letsencrypt.cache_dir is required')
  }
  const { certificate = '', key = '' } = server
  if (certificate === '' && key === '') return undefined
  if (certificate === '' || key === '') {
    const [there, missing] = certificate === '' ? ['key', 'certificate'] : ['certificate', 'key']
    places.problem(
      at('server', there),
      'failed to load server cert and key: both were not provided',
      `Add server.${missing}, or remove server.${there}.`,
    )
  }
  return { certificate, key, minVersion }
}

/** The signing pair: the token's own, else the server's, else none (Berth makes one). */
function resolvePair(
  { server, token }: DockerAuth,
  at: (...path: string[]) => Path,
  places: Places,
): Pick<TokenServerConfig, 'certificate' | 'key'> {
  const { certificate = '', key = '' } = token
  if (certificate === '' && key === '') {
    return server.certificate && server.key
      ? { certificate: server.certificate, key: server.key }
      : { certificate: undefined, key: undefined }
  }
  if (certificate === '' || key === '') {
    const [there, missing] = certificate === '' ? ['key', 'certificate'] : ['certificate', 'key']
    places.problem(
      at('token', there),
      'failed to load token cert and key: both were not provided',
      `Add token.${missing}, or remove token.${there}.`,
    )
  }
  return { certificate, key }
}

/** Go's names and numbers of TLS versions; Berth's least is TLS 1.2. */
const VERSIONS: Record<string, number> = { SSL30: 0x0300, TLS10: 0x0301, TLS11: 0x0302, TLS12: 0x0303, TLS13: 0x0304 }

function resolveMinVersion(text: string, at: (...path: string[]) => Path, places: Places): TlsConfig['minVersion'] {
  if (text === '') return 'TLSv1.2'
  const version = VERSIONS[text] ?? (/^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN)
  const path = at('server', 'tls_min_version')
  if (!(version >= 0x0300 && version <= 0x0304)) {
    places.problem(path, `${JSON.stringify(text)} is no version of TLS`, 'Write TLS12 or TLS13.')
  } else if (version < 0x0303) places.warn(path, `${text} is not offered any more; TLS12 is used`)
  return version === 0x0304 ? 'TLSv1.3' : 'TLSv1.2'
}

/** Modular crypt format of bcrypt as Go reads it: version, cost 4 to 31, 22 letters of salt and 31 of hash. */
const BCRYPT = /^\$2[abxy]?\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

function resolveUsers(users: NonNullable<DockerAuth['users']>, path: Path, places: Places): Record<string, StaticUser> {
  // Without a prototype: a login called `constructor` must find nothing.
  const resolved: Record<string, StaticUser> = Object.create(null)
  for (const [name, user] of Object.entries(users)) {
    const here = [...path, name]
    if (user === null) {
      places.warn(here, 'has no value, so this user does not exist', 'Give a password, or {} to accept any password.')
      continue
    }
    const { password } = user
    if (password === undefined) {
      if (places.findings.refused(places.name([...here, 'password']))) continue
      if (name !== '')
        places.warn(
          here,
          'has no password, so any password is accepted',
          'Add a bcrypt hash (htpasswd -nbB NAME PASSWORD).',
        )
    } else if (!BCRYPT.test(password)) {
      places.warn(
        [...here, 'password'],
        'is no bcrypt hash, so no password can match',
        'Make one: htpasswd -nbB NAME PASSWORD, and take what stands behind the colon.',
      )
    }
    const labels = Object.assign(Object.create(null) as Record<string, string[]>, user.labels)
    resolved[name] = { passwordHash: password, labels }
  }
  return resolved
}
