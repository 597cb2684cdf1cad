import type { Grant, TokenRow } from '../metadata/metadata.ts'
import type { GrantedAccess } from '../oci/scope.ts'
import { type AclRequest, intersect } from './acl.ts'
import { sum } from './acl-authorizer.ts'
import { ANONYMOUS, type Labels, textOf, type Yes } from './authenticator.ts'
import type { AclMode, Authorizer, Ruling, Trace } from './authorizer.ts'
import type { Chain } from './chain.ts'
import { newEffort } from './effort.ts'
import { covered } from './grants.ts'
import { parsePeer } from './ip.ts'
import type { KeyIdForm, SigningKey } from './keys.ts'
import { type Login, ThrottledError } from './login.ts'
import type { ScopeRequest } from './scope-request.ts'
import { createSigner, type Signer } from './token.ts'

export interface TokenServerOptions {
  issuer: string
  /** Seconds. */
  expiration: number
  /** The key that signs now. */
  key: () => SigningKey
  keyId: KeyIdForm
  x5c: 'auto' | 'always' | 'never'
  login: Login
  chain: Pick<Chain, 'find' | 'redeem'>
  /** In order. None at all: only administrators may do anything. */
  authorizers: readonly Authorizer[]
  mode: AclMode
  /** Whether the rules are Berth's own, which hold for everybody but administrators. */
  adminsMayAll: boolean
  /** `pull`: a client without credentials gets a token, and every account may pull from every repository. */
  anonymous: 'none' | 'pull'
  /** Undefined: no refresh tokens are issued or taken. */
  refreshTokens?: RefreshTokens | undefined
  /** Milliseconds since the epoch. */
  now: () => number
  /** Unique for each token. */
  newId: () => string
  /** Told of every decision, for the audit log. */
  record?: (event: TokenEvent) => void
  /** Told why a question could not be answered, for the log: clients hear less. */
  warn?: (message: string, cause: unknown) => void
}

/** OAuth2's refresh tokens, which clients store in place of passwords (distribution, "Oauth2 Token Authentication"). */
export interface RefreshTokens {
  /** Resolves to the secret. */
  create(owner: { source: string; account: string; stamp: string; client: string }): Promise<string>
  /** @throws UnavailableError */
  check(secret: string, from: string | undefined): Promise<TokenRow | undefined>
}

export interface TokenRequest {
  /** `''` without credentials. */
  account: string
  password: string
  /** In place of account and password. */
  refreshToken?: string | undefined
  /** The audience; may be empty. */
  service: string
  scopes: readonly ScopeRequest[]
  /** The client's address, if it is known (not on a unix socket). */
  address: string | undefined
  /** Whether a refresh token is asked for. */
  offline?: boolean
  /** The client's own name for itself. */
  client?: string
}

export interface Issued {
  token: string
  /** Seconds. */
  expiresIn: number
  /** Seconds since the epoch. */
  issuedAt: number
  access: readonly GrantedAccess[]
  refreshToken: string | undefined
}

export type TokenEvent = Pick<TokenRequest, 'account' | 'service' | 'address'> & {
  scopes: readonly ScopeRequest[]
} & (
    | {
        kind: 'issued'
        /** The authenticator that knew the account; empty for a client without credentials. */
        source: string
        /** Id of the personal access or refresh token that was used. */
        token: string | undefined
        access: readonly GrantedAccess[]
        /** The rule that decided each scope (`auth_config.yml:23`); undefined where none matched. */
        rules: readonly (string | undefined)[]
      }
    | { kind: 'refused'; reason: string }
  )

/** The text may be sent to the client. */
export class TokenError extends Error {
  /** `throttled` has a ThrottledError for its cause. */
  readonly kind: 'bad-request' | 'unauthorized' | 'invalid-grant' | 'throttled' | 'unavailable'

  constructor(kind: TokenError['kind'], text: string, options?: { cause?: unknown }) {
    super(text, options)
    this.name = 'TokenError'
    this.kind = kind
  }
}

/** Why an account may or may not do something. */
export interface Explanation {
  scope: ScopeRequest
  actions: readonly string[]
  /** The rule that decided; undefined where none matched. */
  rule: string | undefined
  /** What each source of rules had to say, in order, up to the one that decided. */
  traces: readonly (Trace & { source: string })[]
}

export interface ExplainRequest {
  account: string
  scopes: readonly ScopeRequest[]
  service: string
  address: string | undefined
  /** In place of those that the account has; undefined: those. */
  labels: Labels | undefined
}

export interface TokenServer {
  readonly issuer: string
  readonly refreshes: boolean
  /**
   * Authenticates the account, cuts each scope down to what it may do, and signs. A scope that is refused stays, with no
   * actions (distribution, "Token Authentication Specification": a subset is no error).
   * @throws TokenError
   */
  issue(request: TokenRequest): Promise<Issued>
  /** What `issue` would decide for an account, and why, without its password. @throws UnavailableError */
  explain(request: ExplainRequest): Promise<{ source: string | undefined; labels: Labels; decisions: Explanation[] }>
}

interface Decision {
  actions: readonly string[]
  rule: string | undefined
}

/** Scopes that are decided at once, as many as clients ask for; from there on other requests have their turn between any two. */
const SCOPES_AT_ONCE = 4
/** So they have after scopes that cost this much, about 6 ms. */
const EFFORT_AT_ONCE = 100_000

const OWN_RIGHTS = "the account's own rights"
const ADMINISTRATOR = 'administrator'
const OPEN_PULL = 'auth.anonymous: pull'

export function createTokenServer(options: TokenServerOptions): TokenServer {
  const { issuer, expiration, login, chain, authorizers, mode, now, newId, record, refreshTokens } = options
  const openPull = options.anonymous === 'pull'
  let signing: { key: SigningKey; sign: Signer } | undefined

  function sign(claims: Parameters<Signer>[0]): ReturnType<Signer> {
    const key = options.key()
    if (signing?.key !== key) signing = { key, sign: createSigner({ ...options, key }) }
    return signing.sign(claims)
  }

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (cause) {
      if (cause instanceof ThrottledError) throw new TokenError('throttled', cause.message, { cause })
      throw unavailable(`Authentication failed (${textOf(cause)})`, cause)
    }
  }

  function unavailable(text: string, cause: unknown): TokenError {
    options.warn?.(text, cause)
    return new TokenError('unavailable', text, { cause })
  }

  async function authenticate(request: TokenRequest): Promise<{ account: string; user: Yes }> {
    const { account, password, address, refreshToken } = request
    if (refreshToken !== undefined) return await redeem(refreshToken, address)
    const outcome = await ask(() => login(account, password, address))
    if (typeof outcome === 'object') return { account, user: outcome }
    if (outcome === 'no-match' && openPull && account === ANONYMOUS && password === '')
      return { account, user: { kind: 'yes', labels: {} } }
    throw new TokenError('unauthorized', 'Auth failed.', { cause: outcome })
  }

  async function redeem(secret: string, address: string | undefined): Promise<{ account: string; user: Yes }> {
    const row = await ask(async () => await refreshTokens?.check(secret, address))
    const user = row?.kind === 'refresh' ? await ask(() => chain.redeem(row, secret)) : undefined
    if (row === undefined || user === undefined) {
      throw new TokenError('invalid-grant', 'the identity token is not valid any more; log in again')
    }
    return { account: row.account, user }
  }

  async function decide(request: AclRequest, user: Yes): Promise<Decision> {
    const ruling = await rule(request, user)
    const open = openPull && request.type === 'repository' ? withPull(ruling, request.actions) : ruling
    return user.limits === undefined ? open : { ...open, actions: limited(user.limits, request, open.actions) }
  }

  async function rule(request: AclRequest, user: Yes): Promise<Decision> {
    if (user.grants !== undefined) return { actions: covered(user.grants, request), rule: OWN_RIGHTS }
    if (options.adminsMayAll && user.admin === true) return { actions: request.actions, rule: ADMINISTRATOR }
    const rulings: Ruling[] = []
    for (const [index, authorizer] of authorizers.entries()) {
      const ruling = await consult(index, authorizer, request)
      if (ruling === undefined) continue
      if (mode === 'first-match') return ruling
      rulings.push(ruling)
    }
    if (rulings.length === 0) return { actions: [], rule: undefined }
    const parts = rulings.map(({ actions }) => actions)
    return { actions: sum(parts, request.actions), rule: rulings.map((ruling) => ruling.rule).join(' + ') }
  }

  async function consult(index: number, authorizer: Authorizer, request: AclRequest): Promise<Ruling | undefined> {
    try {
      const ruling = authorizer.authorize(request, mode)
      return ruling instanceof Promise ? await ruling : ruling
    } catch (cause) {
      const text = `Authorization failed (authz #${index + 1} returned error: ${textOf(cause)})`
      throw unavailable(text, cause)
    }
  }

  async function decideAll(
    { scopes, service, address }: Pick<TokenRequest, 'scopes' | 'service' | 'address'>,
    account: string,
    user: Yes,
  ): Promise<Decision[]> {
    const ip = address === undefined ? undefined : parsePeer(address)
    const effort = newEffort()
    const decisions: Decision[] = []
    let before = effort.left
    for (const [index, { type, name, actions }] of scopes.entries()) {
      if (index >= SCOPES_AT_ONCE || before - effort.left > EFFORT_AT_ONCE) {
        await letOthersRun()
        before = effort.left
      }
      decisions.push(await decide({ account, type, name, service, ip, labels: user.labels, actions, effort }, user))
    }
    return decisions
  }

  /** Only for a password: what a token was used for ends with that token. */
  async function refreshTokenFor(request: TokenRequest, account: string, user: Yes): Promise<string | undefined> {
    if (refreshTokens === undefined || request.offline !== true || user.token !== undefined) return undefined
    const { source } = user
    if (source === undefined || account === ANONYMOUS) return undefined
    return await ask(async () => {
      const known = await chain.find(account)
      if (known === undefined || known.source !== source) return undefined
      return await refreshTokens.create({ source, account, stamp: known.stamp, client: request.client ?? '' })
    })
  }

  return {
    issuer,
    refreshes: refreshTokens !== undefined,

    async issue(request) {
      const { service, address, scopes } = request
      let { account } = request
      try {
        const known = await authenticate(request)
        account = known.account
        const { user } = known
        const decisions = await decideAll(request, account, user)
        const access = scopes.map(({ type, name }, i) => ({ type, name, actions: decisions[i]?.actions ?? [] }))
        const refreshToken = await refreshTokenFor(request, account, user)
        const iat = Math.floor(now() / 1000)
        const exp = iat + expiration
        // Ten seconds back, for registries whose clock is behind.
        const token = await sign({
          iss: issuer,
          sub: account,
          aud: service,
          exp,
          nbf: iat - 10,
          iat,
          jti: newId(),
          access,
          ...(scopes.length === 0 ? groupsClaim(user.labels) : {}),
        })
        const rules = decisions.map((decision) => decision.rule)
        const { source = '' } = user
        record?.({ kind: 'issued', account, service, address, scopes, access, rules, source, token: user.token })
        return { token, expiresIn: expiration, issuedAt: iat, access, refreshToken }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        record?.({ kind: 'refused', account, service, address, scopes, reason })
        throw error
      }
    },

    async explain({ account, scopes, service, address, labels }) {
      const known = await chain.find(account)
      const user: Yes = { ...known, kind: 'yes', labels: labels ?? known?.labels ?? {} }
      const request = { service, ip: address === undefined ? undefined : parsePeer(address), labels: user.labels }
      const decisions: Explanation[] = []
      for (const [index, scope] of scopes.entries()) {
        if (index > 0) await letOthersRun()
        const asked: AclRequest = { ...request, ...scope, account }
        const { actions, rule } = await decide({ ...asked, effort: newEffort() }, user)
        const hasRules = user.grants === undefined && !(options.adminsMayAll && user.admin === true)
        decisions.push({
          scope,
          actions,
          rule,
          traces: hasRules ? await tracesOf({ ...asked, effort: newEffort() }) : [],
        })
      }
      return { source: known?.source, labels: user.labels, decisions }
    },
  }

  async function tracesOf(request: AclRequest): Promise<Explanation['traces']> {
    const traces: (Trace & { source: string })[] = []
    for (const authorizer of authorizers) {
      const found = (await authorizer.explain?.(request, mode)) ?? []
      traces.push(...found.map((trace) => ({ ...trace, source: authorizer.name })))
      if (mode === 'first-match' && found.some(({ lacks }) => lacks.length === 0)) break
    }
    return traces
  }
}

/** Groups that a token names: whoever is in more learns of the first ones, for the token goes into a header. */
const MOST_GROUPS = 50

/** For `berth whoami`: registries pass over claims that they do not know. */
function groupsClaim({ groups = [] }: Labels): { groups?: readonly string[] } {
  return groups.length === 0 ? {} : { groups: groups.slice(0, MOST_GROUPS) }
}

function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What a client without credentials may do, everybody may. */
function withPull(decision: Decision, asked: readonly string[]): Decision {
  if (!asked.includes('pull') || decision.actions.includes('pull')) return decision
  return { rule: decision.rule ?? OPEN_PULL, actions: [...decision.actions, 'pull'].sort() }
}

/** A grant of all that was asked stays as it was asked where the limits cover all of it. */
function limited(limits: readonly Grant[], request: AclRequest, actions: readonly string[]): readonly string[] {
  const left = covered(limits, { ...request, actions })
  return actions.every((action) => left.includes(action)) ? actions : intersect(left, actions)
}
