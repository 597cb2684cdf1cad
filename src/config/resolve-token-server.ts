import type { TokenServerConfig } from './config.ts'
import { authenticatorKeys, authorizerKeys, type DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveListen } from './resolve-listen.ts'
import { resolveRules } from './resolve-rules.ts'
import { resolvePair, resolveServerTls } from './resolve-server-tls.ts'
import { resolveSources } from './resolve-sources.ts'
import { resolveSpan } from './span.ts'
import { resolveTrustedProxies } from './trusted-proxies.ts'

export const DEFAULT_ISSUER = 'Berth'
/** Seconds: the life of a token where no file says otherwise. */
export const DEFAULT_EXPIRATION = 900

const HOUR = 3_600_000

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
    anonymous,
    refreshTokens: { issue: 'auto', lifeMs: 2160 * HOUR },
    trustedProxies: [],
    throttle: { enabled: true, perAccount: 5, perAddress: 50, windowMs: 300_000 },
    audit: { keepMs: 720 * HOUR, keepRows: 1_000_000, file: undefined },
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
  const inServer = (key: string): Path => at('server', key)
  const inToken = (key: string): Path => at('token', key)
  const { server, token } = raw

  if (input.isFile) checkRequired(raw, at, places)
  if (server.net !== undefined && !['', 'tcp', 'unix'].includes(server.net)) {
    places.problem(inServer('net'), 'server.net must be unix or tcp')
  }
  if (server.path_prefix && !server.path_prefix.startsWith('/')) {
    places.problem(inServer('path_prefix'), 'server.path_prefix must be an absolute path')
  }
  const expiration = token.expiration ?? (input.isFile ? 0 : DEFAULT_EXPIRATION)
  if (expiration <= 0) {
    const message = `expiration must be positive, got ${expiration}`
    places.problem(inToken('expiration'), message, 'Write seconds, such as 900.')
  }
  const net = server.net === 'unix' ? 'unix' : 'tcp'
  return {
    listen: server.addr ? resolveListen(net, server.addr, inServer('addr'), places) : undefined,
    tls: resolveServerTls(raw, inServer, places),
    pathPrefix: server.path_prefix ?? '',
    hsts: server.hsts,
    realIpHeader: server.real_ip_header || undefined,
    realIpPos: server.real_ip_pos,
    issuer: token.issuer || input.issuer || DEFAULT_ISSUER,
    expiration,
    ...resolvePair(raw, inToken, places),
    keyId: resolveKeyId(token, inToken, places),
    x5c: token.x5c,
    ...resolveSources(raw, input.isFile, at, places),
    ...resolveRules(raw, at, places),
    anonymous: input.anonymous,
    refreshTokens: {
      issue: token.refreshtokens,
      lifeMs: resolveSpan(token.refreshexpiration, inToken('refreshexpiration'), {}, places),
    },
    trustedProxies: resolveTrustedProxies(server.trustedproxies, inServer('trustedproxies'), places),
    throttle: {
      enabled: raw.throttle.enabled,
      perAccount: raw.throttle.peraccount,
      perAddress: raw.throttle.peraddress,
      windowMs: resolveSpan(raw.throttle.window, at('throttle', 'window'), {}, places),
    },
    audit: {
      keepMs: resolveSpan(raw.audit.keep, at('audit', 'keep'), {}, places),
      keepRows: raw.audit.rows,
      file: raw.audit.file || undefined,
    },
  }
}

/** What docker_auth's own file must have. */
function checkRequired({ server, token, accounts }: DockerAuth, at: (...path: string[]) => Path, places: Places): void {
  const given = (key: string): boolean => isGiven(places.root, at(key))
  if (!server.addr) places.problem(at('server', 'addr'), 'server.addr is required', 'Write one such as ":5001".')
  if (!token.issuer)
    places.problem(at('token', 'issuer'), 'token.issuer is required', "It must be the registry's auth.token.issuer.")
  if (!authenticatorKeys.some(given) && accounts !== true) {
    places.problem(
      at('users'),
      'no auth methods are configured, this is probably a mistake. Use an empty user map if you really want to deny everyone',
    )
  }
  // With accounts of its own, Berth has rules of its own.
  if (!authorizerKeys.some(given) && accounts !== true) {
    const message = 'ACL is empty, this is probably a mistake. Use an empty list if you really want to deny all actions'
    places.problem(at('acl'), message)
  }
}

function resolveKeyId(
  token: DockerAuth['token'],
  at: (key: string) => Path,
  places: Places,
): TokenServerConfig['keyId'] {
  const old = token.disable_legacy_key_id ? 'rfc7638' : 'libtrust'
  if (token.keyid === undefined) return old
  if (token.keyid !== old && isGiven(places.root, at('disable_legacy_key_id'))) {
    const message = `says ${token.keyid}, but disable_legacy_key_id says ${old}`
    places.problem(at('keyid'), message, 'Remove disable_legacy_key_id.')
  }
  return token.keyid
}
