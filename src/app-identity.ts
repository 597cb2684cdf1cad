import { chainOf, refreshTokensOf, type Services, signInAccountsOf } from './app-accounts.ts'
import { auditRowOf } from './app-audit.ts'
import type { Clock } from './app-clock.ts'
import { readGiven } from './app-files.ts'
import type { Keys } from './app-keys.ts'
import { createSources } from './app-sources.ts'
import { type Chain, createChain } from './auth/chain.ts'
import { createBasicGate, createOpenGate, createTokenGate, type Gate } from './auth/gate.ts'
import { createHtpasswdAuthenticator } from './auth/htpasswd.ts'
import { jwksOf } from './auth/jwks.ts'
import { createLogin, type Login } from './auth/login.ts'
import type { Passwords } from './auth/password.ts'
import type { SignInProvider } from './auth/sign-in.ts'
import { createSignInProviders } from './auth/sign-in-providers.ts'
import { type Attempt, createThrottle, type Throttle } from './auth/throttle.ts'
import { randomTokenId } from './auth/token.ts'
import { createTokenServer, type TokenServer } from './auth/token-server.ts'
import { createTrust } from './auth/trust.ts'
import { createVerify } from './auth/verify.ts'
import type { Config, ThrottleConfig, TokenServerConfig } from './config/config.ts'
import { unreadable } from './config/files.ts'
import { builtInTokenServer, DEFAULT_ISSUER } from './config/resolve-token-server.ts'
import { type ClientAddressOf, createClientAddress } from './http/peer.ts'
import { type Fetch, originFor, type ServerDeps } from './http/server.ts'
import { createSignIn, type SignInPages } from './http/sign-in/sign-in.ts'
import { createJwksEndpoint, JWKS_PATH } from './http/token/jwks.ts'
import { createTokenEndpoint, TOKEN_PATHS, type TokenEndpointOptions } from './http/token/token.ts'
import { decodePath, splitUrl } from './http/url.ts'
import type { AuditRow, Metadata } from './metadata/metadata.ts'
import type { Log } from './telemetry/log.ts'

/** What outlives a change of the configuration. */
export interface IdentityDeps extends Clock {
  /** Both undefined for a token server without a data directory. */
  metadata: Metadata | undefined
  services: Services | undefined
  passwords: Passwords
  keys: Keys
  throttleOf: (config: ThrottleConfig) => Throttle | undefined
  /** Whether the data directory stays: refresh tokens must outlive a restart. */
  keepsData: boolean
  record: (row: AuditRow) => void
  log: Log
}

/** Who may do what, as one configuration has it. */
export interface Identity {
  gate: Gate
  /** Answers the token endpoint's paths on the registry's own listener. */
  embedded: NonNullable<ServerDeps['elsewhere']>
  /** The token server on a listener of its own. */
  standalone: Fetch | undefined
  /** For the admin API; undefined where nobody logs in. */
  login: Login | undefined
  chain: Pick<Chain, 'find'> | undefined
  server: TokenServer | undefined
  /** Whether Berth's own accounts and rules count in this configuration. */
  own: { accounts: boolean; rules: boolean }
  close(): Promise<void>
}

const NOBODY = {
  login: undefined,
  chain: undefined,
  server: undefined,
  standalone: undefined,
  own: { accounts: false, rules: false },
}
/** What holds where no token server is configured. */
export const DEFAULTS = builtInTokenServer(DEFAULT_ISSUER, 'none')
const nowhere: Identity['embedded'] = () => undefined

/** The gate of the registry, and the token server where it runs here. @throws Error with a text for the user */
export async function createIdentity(config: Config, deps: IdentityDeps): Promise<Identity> {
  const { auth } = config
  if (auth.kind === 'none') return { ...NOBODY, gate: createOpenGate(), embedded: nowhere, close: async () => {} }
  if (auth.kind === 'htpasswd') return await createHtpasswdIdentity(config, auth, deps)

  const { now } = deps
  const { tokenServer } = config
  const given = {
    rootCertBundle: readGiven('auth.token.rootcertbundle', auth.rootCertBundle),
    jwks: readGiven('auth.token.jwks', auth.jwks),
  }
  // Whatever cannot be used must show before another key signs.
  if (given.rootCertBundle !== undefined || given.jwks !== undefined) createTrust({ ...given, now })
  const own = tokenServer === undefined ? undefined : await createTokenIdentity(behind(config, tokenServer), deps)
  const trust = createTrust({ ...given, own: own === undefined ? undefined : deps.keys.all, now })
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
    realmPath: auth.realmPath ?? `${config.http.prefix}auth`,
    service: auth.service,
    anonymous: auth.anonymous,
  })
  if (own === undefined || tokenServer === undefined) {
    return { ...NOBODY, gate, embedded: nowhere, close: async () => {} }
  }
  return {
    ...own,
    gate,
    embedded: own.embed(config),
    standalone: tokenServer.listen === undefined ? undefined : own.standalone,
  }
}

/** Both listeners stand behind the same proxies. */
function behind(config: Config, tokenServer: TokenServerConfig): TokenServerConfig {
  return { ...tokenServer, trustedProxies: [...tokenServer.trustedProxies, ...config.http.trustedProxies] }
}

/** The token server of one configuration. */
export async function createTokenIdentity(
  config: TokenServerConfig,
  deps: IdentityDeps,
): Promise<Omit<Identity, 'gate' | 'embedded'> & { standalone: Fetch; embed(config: Config): Identity['embedded'] }> {
  const { passwords, services, metadata, keys, log, now } = deps
  const useKeys = await keys.prepare(config)
  const sources = await createSources(config, { passwords, metadata, rules: services?.rules, log, now })
  try {
    const chain = chainOf(sources.authenticators, passwords, services, now)
    const login = createLogin({ chain, passwords, throttle: deps.throttleOf(config.throttle), now })
    const { issue, lifeMs } = config.refreshTokens
    const refreshes = issue === 'always' || (issue === 'auto' && deps.keepsData)
    const server = createTokenServer({
      issuer: config.issuer,
      expiration: config.expiration,
      key: keys.current,
      keyId: config.keyId,
      x5c: config.x5c,
      login,
      chain,
      authorizers: sources.authorizers,
      mode: config.aclMode,
      adminsMayAll: sources.ownRules,
      anonymous: config.anonymous,
      refreshTokens: services !== undefined && refreshes ? refreshTokensOf(services, lifeMs, now) : undefined,
      now,
      newId: randomTokenId,
      record: (event) => deps.record(auditRowOf(event, now())),
      warn: (message, cause) => log.warn(message, { error: cause }),
    })
    const providers = createSignInProviders(config.signIn, { now, warn: (message) => log.warn(message) })
    const signIn = (pathPrefix: string) => signInOf(config, providers, pathPrefix, chain, deps)
    const standalone = {
      ...config,
      signIn: signIn(config.pathPrefix),
      clientAddress: createClientAddress(config.trustedProxies),
      host: undefined,
    }
    await useKeys()
    return {
      server,
      own: { accounts: config.databaseUsers, rules: sources.ownRules },
      login,
      chain,
      standalone: pagesOf(server, keys, now, standalone),
      embed: ({ http: { prefix, host, trustedProxies } }) => {
        const clientAddress = createClientAddress(trustedProxies)
        // The header that stands for the token server's own proxy is anybody's word on the registry's listener.
        const realIpHeader = config.listen === undefined ? config.realIpHeader : undefined
        const pages = { signIn: signIn(prefix.slice(0, -1)), clientAddress, host: trimmed(host), realIpHeader }
        return embed(server, keys, now, prefix, { ...config, ...pages })
      },
      close: sources.close,
    }
  } catch (error) {
    await sources.close()
    throw error
  }
}

function signInOf(
  { hsts }: TokenServerConfig,
  providers: readonly SignInProvider[],
  pathPrefix: string,
  chain: Chain,
  { metadata, services, now, record }: IdentityDeps,
): SignInPages | undefined {
  if (providers.length === 0 || metadata === undefined || services === undefined) return undefined
  return createSignIn({
    providers,
    accounts: signInAccountsOf({ metadata, services, chain, now }),
    now,
    pathPrefix,
    hsts,
    record({ outcome, source, account, address = '', detail }) {
      const row = { at: now(), kind: 'sign-in', account, source, address, outcome, detail } as const
      record({ ...row, service: '', asked: '', granted: '', rules: '' })
    },
  })
}

/** Users of a file, who may do everything. */
async function createHtpasswdIdentity(
  config: Config,
  auth: Extract<Config['auth'], { kind: 'htpasswd' }>,
  deps: IdentityDeps,
): Promise<Identity> {
  const { now, passwords, keys } = deps
  // Not a reason to refuse: the file may come later (each login looks), and Debian's own config names a folder.
  const fault = unreadable(auth.path)
  if (fault !== undefined) {
    deps.log.warn(
      `nobody can log in: auth.htpasswd.path ${auth.path} ${fault}; make it with: berth htpasswd add FILE USER`,
    )
  }
  const warn = (message: string, fields: Record<string, unknown>) => deps.log.warn(message, fields)
  const htpasswd = createHtpasswdAuthenticator({ path: auth.path, passwords, admin: true, warn })
  // A chain makes a name that nobody has as slow as a wrong password.
  const chain = createChain([htpasswd], passwords)
  const login = createLogin({ chain, passwords, throttle: deps.throttleOf(DEFAULTS.throttle), now })
  // They may do everything to images, which is no right over accounts.
  const plainLogin: Login = async (...question) => {
    const outcome = await login(...question)
    return typeof outcome === 'object' ? { ...outcome, admin: false } : outcome
  }
  const common = { ...NOBODY, login: plainLogin, chain, close: () => chain.close() }
  if (auth.anonymous === 'none') {
    const gate = createBasicGate({ realm: auth.realm, login, anonymous: { kind: 'none' } })
    return { ...common, gate, embedded: nowhere }
  }
  // Clients without credentials can only choose Bearer: a token server of our own asks the same file.
  const useKeys = await keys.prepare({ ...HTPASSWD_TOKENS, certificate: undefined, key: undefined })
  await useKeys()
  const server = createTokenServer({
    ...HTPASSWD_TOKENS,
    key: keys.current,
    login,
    chain,
    now,
    newId: randomTokenId,
    record: (event) => deps.record(auditRowOf(event, now())),
  })
  const verify = createVerify({
    trust: createTrust({ own: keys.all, now }),
    service: auth.realm,
    issuer: server.issuer,
    now,
  })
  const { prefix, trustedProxies } = config.http
  const tokens = { verify, realm: undefined, realmPath: `${prefix}auth`, service: auth.realm }
  const gate = createBasicGate({ realm: auth.realm, login, anonymous: { kind: 'pull', tokens } })
  const endpoint = { hsts: false, realIpHeader: undefined, realIpPos: 0, signIn: undefined, host: undefined }
  const clientAddress = createClientAddress(trustedProxies)
  const embedded = embed(server, keys, now, prefix, { ...endpoint, clientAddress })
  return { ...common, server, gate, embedded }
}

const HTPASSWD_TOKENS = {
  issuer: 'Berth',
  expiration: 900,
  keyId: 'rfc7638',
  x5c: 'auto',
  authorizers: [],
  mode: 'first-match',
  adminsMayAll: true,
  anonymous: 'pull',
} as const

interface PagesOptions extends Omit<TokenEndpointOptions, 'server'> {
  signIn: SignInPages | undefined
  /** Who asks, where no header of the token server's own (`real_ip_header`) says so. */
  clientAddress: ClientAddressOf
  /** External base URL, without a slash at its end. */
  host: string | undefined
}

/** Everything that a token server answers on a listener of its own. */
function pagesOf(server: TokenServer, keys: Keys, now: () => number, options: PagesOptions): Fetch {
  const { signIn, clientAddress, host } = options
  const endpoint = createTokenEndpoint({ ...options, server })
  const jwks = createJwksEndpoint(() => jwksOf(keys.all(), now()), options)
  const jwksPaths = new Set([JWKS_PATH, `${options.pathPrefix}${JWKS_PATH}`])
  return (request, connection) => {
    const { path: asked, query } = splitUrl(request.url)
    const path = decodePath(asked)
    if (jwksPaths.has(path)) return jwks(request)
    const peer = clientAddress(connection.peer(), request.headers.get('x-forwarded-for'))
    if (signIn?.paths.has(path) !== true) return endpoint(request, { peer, path, query })
    return signIn.handle(request, { path, query, base: originFor(request, connection, host), address: peer })
  }
}

/** On the registry's listener the token server has its few paths; everything else there is not its business. */
function embed(
  server: TokenServer,
  keys: Keys,
  now: () => number,
  prefix: string,
  options: Omit<PagesOptions, 'pathPrefix'>,
): Identity['embedded'] {
  const { signIn } = options
  const pages = pagesOf(server, keys, now, { ...options, pathPrefix: prefix.slice(0, -1) })
  // Not the index: that is the registry's root.
  const more = [...(signIn?.paths ?? [])].filter((path) => path !== prefix)
  const paths = new Set([
    ...TOKEN_PATHS.map((path) => prefix.slice(0, -1) + path),
    JWKS_PATH,
    `${prefix.slice(0, -1)}${JWKS_PATH}`,
    ...more,
  ])
  return (request, connection, asked) => (paths.has(decodePath(asked)) ? pages(request, connection) : undefined)
}

function trimmed(host: string | undefined): string | undefined {
  return host?.replace(/\/+$/, '')
}

/** Keeps what was counted for as long as the limits stay the same. */
export function createThrottles(
  now: () => number,
  onRefused: () => void = () => {},
): (config: ThrottleConfig) => Throttle | undefined {
  let known: { limits: string; throttle: Throttle } | undefined
  return (config) => {
    if (!config.enabled) return undefined
    const limits = JSON.stringify(config)
    if (known?.limits !== limits) known = { limits, throttle: told(createThrottle({ now, ...config }), onRefused) }
    return known.throttle
  }
}

/** A throttle that says when it refuses. */
function told(throttle: Throttle, onRefused: () => void): Throttle {
  const tell = (attempt: Attempt): Attempt => {
    if (!attempt.allowed) onRefused()
    return attempt
  }
  return {
    ...throttle,
    begin: (account, address) => tell(throttle.begin(account, address)),
    enter: async (account, address) => tell(await throttle.enter(account, address)),
  }
}
