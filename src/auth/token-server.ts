import type { webcrypto } from 'node:crypto'
import type { GrantedAccess } from '../oci/scope.ts'
import { type AclEntry, compileAcl, type Decision, decide, decideByDefault } from './acl.ts'
import { ANONYMOUS, type Authenticator, type Outcome, UnavailableError } from './authenticator.ts'
import { type Address, parsePeer } from './ip.ts'
import { carriedCertificates, type KeyIdForm, type SigningKey } from './keys.ts'
import type { ScopeRequest } from './scope-request.ts'
import { createSigner } from './token.ts'

export interface TokenServerOptions {
  issuer: string
  /** Seconds. */
  expiration: number
  key: SigningKey
  keyId: KeyIdForm
  x5c: 'auto' | 'always' | 'never'
  /** A chain, so that its errors say which source did not answer. */
  authenticator: Authenticator
  /** Undefined: Berth's own rules (`decideByDefault`). */
  acl: readonly AclEntry[] | undefined
  /** `pull`: a client without credentials gets a token, and every account may pull from every repository. */
  anonymous: 'none' | 'pull'
  /** Milliseconds since the epoch. */
  now: () => number
  /** Unique for each token. */
  newId: () => string
  /** Told of every decision, for the audit log. */
  record?: (event: TokenEvent) => void
}

export interface TokenRequest {
  /** `''` without credentials. */
  account: string
  password: string
  /** The audience; may be empty. */
  service: string
  scopes: readonly ScopeRequest[]
  /** The client's address, if it is known (not on a unix socket). */
  address: string | undefined
}

export interface Issued {
  token: string
  /** Seconds. */
  expiresIn: number
  /** Seconds since the epoch. */
  issuedAt: number
  access: readonly GrantedAccess[]
}

export type TokenEvent = Pick<TokenRequest, 'account' | 'service' | 'address'> & {
  scopes: readonly ScopeRequest[]
} & (
    | {
        kind: 'issued'
        access: readonly GrantedAccess[]
        /** The rule that decided each scope (`auth_config.yml:23`); undefined where none matched. */
        rules: readonly (string | undefined)[]
      }
    | { kind: 'refused'; reason: string }
  )

/** The text may be sent to the client. */
export class TokenError extends Error {
  readonly kind: 'bad-request' | 'unauthorized' | 'unavailable'

  constructor(kind: TokenError['kind'], text: string, options?: { cause?: unknown }) {
    super(text, options)
    this.name = 'TokenError'
    this.kind = kind
  }
}

export interface TokenServer {
  readonly issuer: string
  /**
   * Authenticates the account, cuts each scope down to what it may do, and signs. A scope that is refused stays, with no
   * actions (distribution, "Token Authentication Specification": a subset is no error).
   * @throws TokenError
   */
  issue(request: TokenRequest): Promise<Issued>
  /** The public key as a JWKS (RFC 7517 section 5), under each `kid` that a registry may look for. */
  jwks(): { keys: webcrypto.JsonWebKey[] }
}

/** @throws Error when a rule is not valid. */
export function createTokenServer(options: TokenServerOptions): TokenServer {
  const { issuer, expiration, authenticator, now, newId, record } = options
  const acl = options.acl === undefined ? undefined : compileAcl(options.acl)
  const openPull = options.anonymous === 'pull'
  const sign = createSigner(options)

  async function authenticate({ account, password }: TokenRequest): Promise<Exclude<Outcome, string>> {
    let outcome: Outcome
    try {
      outcome = await authenticator.authenticate(account, password)
    } catch (cause) {
      const text = cause instanceof UnavailableError ? cause.message : 'internal error'
      throw new TokenError('unavailable', `Authentication failed (${text})`, { cause })
    }
    if (typeof outcome === 'object') return outcome
    if (outcome === 'no-match' && openPull && account === ANONYMOUS && password === '')
      return { kind: 'yes', labels: {} }
    throw new TokenError('unauthorized', 'Auth failed.', { cause: outcome })
  }

  function authorize(request: TokenRequest, user: Exclude<Outcome, string>, ip: Address | undefined): Decision[] {
    const { account, service } = request
    try {
      return request.scopes.map(({ type, name, actions }) => {
        const decision =
          acl === undefined
            ? decideByDefault({ account, admin: user.admin === true, type, name, actions })
            : decide(acl, { account, type, name, service, ip, labels: user.labels, actions })
        return openPull && type === 'repository' ? withPull(decision, actions) : decision
      })
    } catch (cause) {
      const text = cause instanceof UnavailableError ? cause.message : 'internal error'
      throw new TokenError('unavailable', `Authorization failed (authz #1 returned error: ${text})`, { cause })
    }
  }

  async function decideAll(request: TokenRequest): Promise<{ access: GrantedAccess[]; decisions: Decision[] }> {
    const user = await authenticate(request)
    const address = request.address === undefined ? undefined : parsePeer(request.address)
    const decisions = authorize(request, user, address)
    const access = request.scopes.map(({ type, name }, i) => ({ type, name, actions: decisions[i]?.actions ?? [] }))
    return { access, decisions }
  }

  return {
    issuer,
    async issue(request) {
      const { account, service, address, scopes } = request
      try {
        const { access, decisions } = await decideAll(request)
        const iat = Math.floor(now() / 1000)
        const exp = iat + expiration
        // Ten seconds back, for registries whose clock is behind.
        const claims = { iss: issuer, sub: account, aud: service, exp, nbf: iat - 10, iat, jti: newId(), access }
        const token = await sign(claims)
        if (record !== undefined) {
          const rules = decisions.map(({ rule }) => (rule === undefined ? undefined : acl?.rules[rule]?.entry.where))
          record({ kind: 'issued', account, service, address, scopes, access, rules })
        }
        return { token, expiresIn: expiration, issuedAt: iat, access }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        record?.({ kind: 'refused', account, service, address, scopes, reason })
        throw error
      }
    },
    jwks() {
      const { algorithm, publicKey, ids } = options.key
      const x5c = carriedCertificates(options.key).map(({ raw }) => raw.toString('base64'))
      const jwk = { ...publicKey.export({ format: 'jwk' }), alg: algorithm, use: 'sig', x5c }
      return { keys: [...new Set(Object.values(ids))].map((kid) => ({ ...jwk, kid })) }
    },
  }
}

/** What a client without credentials may do, everybody may. */
function withPull(decision: Decision, asked: readonly string[]): Decision {
  if (!asked.includes('pull') || decision.actions.includes('pull')) return decision
  return { ...decision, actions: [...decision.actions, 'pull'].sort() }
}
