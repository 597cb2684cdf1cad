import { readGiven } from './app-files.ts'
import { createChain } from './auth/chain.ts'
import { createDatabaseAuthenticator } from './auth/database.ts'
import { createBasicGate, createOpenGate, createTokenGate, type Gate } from './auth/gate.ts'
import { createHtpasswdAuthenticator } from './auth/htpasswd.ts'
import { loadSigningKey, type SigningKey } from './auth/keys.ts'
import { makeOwnKey } from './auth/own-key.ts'
import type { Passwords } from './auth/password.ts'
import { createStaticAuthenticator } from './auth/static.ts'
import { createTokenServer, type TokenEvent, type TokenServer } from './auth/token-server.ts'
import { createTrust } from './auth/trust.ts'
import { createVerify } from './auth/verify.ts'
import type { Config, TokenServerConfig } from './config/config.ts'
import { unreadable } from './config/files.ts'
import { type ClientAddressOf, createClientAddress, plainAddress } from './http/peer.ts'
import { type Fetch, type ServerDeps, splitUrl } from './http/server.ts'
import { createTokenEndpoint } from './http/token/token.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Log } from './telemetry/log.ts'

export interface Clock {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Unique for ever. */
  newId: () => string
}

interface IdentityDeps extends Clock {
  metadata: Metadata
  passwords: Passwords
  log: Log
}

export interface Identity {
  gate: Gate
  /** Answers the token endpoint's paths on the registry's own listener. */
  embedded: NonNullable<ServerDeps['elsewhere']>
  standalone: Fetch | undefined
}

/** Who may do what: the gate, and the token server where it runs here. */
export async function createIdentity(config: Config, deps: IdentityDeps): Promise<Identity> {
  const { auth } = config
  const { now } = deps
  const realmPath = `${config.http.prefix}auth`
  const nowhere: Identity['embedded'] = () => undefined
  const clientAddress = createClientAddress(config.http.trustedProxies)
  if (auth.kind === 'none') return { gate: createOpenGate(), embedded: nowhere, standalone: undefined }

  if (auth.kind === 'htpasswd') {
    // Not a reason to refuse: the file may come later (each login looks), and Debian's own config names a folder.
    const fault = unreadable(auth.path)
    if (fault !== undefined) {
      deps.log.warn(`nobody can log in: auth.htpasswd.path ${auth.path} ${fault}; make it with: htpasswd -Bc FILE USER`)
    }
    const warn = (message: string, fields: Record<string, unknown>) => deps.log.warn(message, fields)
    const htpasswd = createHtpasswdAuthenticator({ path: auth.path, passwords: deps.passwords, admin: true, warn })
    // A chain makes a name that nobody has as slow as a wrong password.
    const authenticator = createChain([htpasswd], deps.passwords)
    if (auth.anonymous === 'none') {
      const gate = createBasicGate({ realm: auth.realm, authenticator, anonymous: { kind: 'none' } })
      return { gate, embedded: nowhere, standalone: undefined }
    }
    // Clients without credentials can only choose Bearer: a token server of our own asks the same file.
    const key = await makeOwnKey(config.data.directory, { now })
    const server = createTokenServer({
      ...HTPASSWD_TOKENS,
      key,
      authenticator,
      now,
      newId: deps.newId,
    })
    const verify = createVerify({
      trust: createTrust({ own: key, now }),
      service: auth.realm,
      issuer: server.issuer,
      now,
    })
    const tokens = { verify, realm: undefined, realmPath, service: auth.realm }
    const gate = createBasicGate({ realm: auth.realm, authenticator, anonymous: { kind: 'pull', tokens } })
    return { gate, embedded: embed(server, config.http.prefix, { ...EMBEDDED, clientAddress }), standalone: undefined }
  }

  const { tokenServer } = config
  const own = tokenServer === undefined ? undefined : await tokenServerOf(tokenServer, { ...deps, data: config.data })
  const trust = createTrust({
    rootCertBundle: readGiven('auth.token.rootcertbundle', auth.rootCertBundle),
    jwks: readGiven('auth.token.jwks', auth.jwks),
    own: own?.key,
    now,
  })
  const verify = createVerify({
    trust,
    service: auth.service,
    issuer: auth.issuer,
    ownIssuer: tokenServer?.issuer,
    algorithms: auth.signingAlgorithms,
    now,
  })
  const gate = createTokenGate({
    verify,
    realm: auth.realm,
    realmPath: auth.realmPath ?? realmPath,
    service: auth.service,
    anonymous: auth.anonymous,
  })
  if (own === undefined || tokenServer === undefined) return { gate, embedded: nowhere, standalone: undefined }
  return {
    gate,
    embedded: embed(own.server, config.http.prefix, { ...tokenServer, clientAddress }),
    standalone:
      tokenServer.listen === undefined ? undefined : endpointOf(own.server, { ...tokenServer, clientAddress }),
  }
}

const EMBEDDED = { hsts: false, realIpHeader: undefined, realIpPos: 0 }

const HTPASSWD_TOKENS = {
  issuer: 'Berth',
  expiration: 900,
  keyId: 'rfc7638',
  x5c: 'auto',
  acl: undefined,
  anonymous: 'pull',
} as const

export async function tokenServerOf(
  config: TokenServerConfig,
  deps: Clock & { log: Log; passwords: Passwords; metadata: Metadata | undefined; data: Config['data'] },
): Promise<{ server: TokenServer; key: SigningKey }> {
  const { passwords, metadata, now, newId, log } = deps
  const certificate = readGiven('token.certificate', config.certificate)
  const keyText = readGiven('token.key', config.key)
  const key =
    certificate === undefined || keyText === undefined
      ? await makeOwnKey(deps.data.directory, { now })
      : loadSigningKey(certificate, keyText)
  const sources = [
    ...(config.users === undefined ? [] : [createStaticAuthenticator({ users: config.users, passwords })]),
    ...(config.databaseUsers && metadata !== undefined
      ? [createDatabaseAuthenticator({ users: metadata.users, passwords })]
      : []),
  ]
  const server = createTokenServer({
    issuer: config.issuer,
    expiration: config.expiration,
    key,
    keyId: config.keyId,
    x5c: config.x5c,
    authenticator: createChain(sources, passwords),
    acl: config.acl,
    anonymous: config.anonymous,
    now,
    newId,
    record: (event) => log.info(`token ${event.kind}`, auditFields(event, config.acl === undefined)),
  })
  return { server, key }
}

/** Scopes of one decision that the log shows; a request can ask for thousands. */
const LOGGED_SCOPES = 20

function auditFields(event: TokenEvent, byDefaultRules: boolean): Record<string, unknown> {
  const { account, service, address, scopes } = event
  const spell = (list: readonly { type: string; name: string; actions: readonly string[] }[]) =>
    list
      .slice(0, LOGGED_SCOPES)
      .map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`.slice(0, 300))
      .join(' ')
  const fields = { account, service, address: address === undefined ? '' : plainAddress(address), asked: spell(scopes) }
  if (event.kind === 'refused') return { ...fields, reason: event.reason }
  const rules = event.rules.slice(0, LOGGED_SCOPES).map((rule) => rule ?? (byDefaultRules ? 'default' : 'none'))
  return { ...fields, granted: spell(event.access), rules: rules.join(' ') }
}

export interface EndpointOptions extends Pick<TokenServerConfig, 'pathPrefix' | 'hsts' | 'realIpHeader' | 'realIpPos'> {
  /** Who asks, where no header of the token server's own (`real_ip_header`) says so. */
  clientAddress: ClientAddressOf
}

export function endpointOf(server: TokenServer, { clientAddress, ...options }: EndpointOptions): Fetch {
  const endpoint = createTokenEndpoint({ server, ...options })
  return (request, connection) => {
    const peer = clientAddress(connection.peer(), request.headers.get('x-forwarded-for'))
    return endpoint(request, { peer, ...splitUrl(request.url) })
  }
}

/** On the registry's listener the token endpoint has its two paths; everything else there is not its business. */
function embed(
  server: TokenServer,
  prefix: string,
  options: Omit<EndpointOptions, 'pathPrefix'>,
): Identity['embedded'] {
  const path = `${prefix}auth`
  const paths = new Set([path, `${path}/token`])
  const endpoint = endpointOf(server, { ...options, pathPrefix: prefix.slice(0, -1) })
  return (request, connection, asked) => (paths.has(asked) ? endpoint(request, connection) : undefined)
}
