import { type Access, covers, type GrantedAccess } from '../oci/scope.ts'
import { basicChallenge, bearerChallenge, type ChallengeError } from './challenge.ts'
import { parseBasic, parseBearer } from './credentials.ts'
import type { Login } from './login.ts'
import type { Verify } from './verify.ts'

export interface AccessRequest {
  /** The header of that name, as received. */
  authorization: string | undefined
  /** What the request needs; nothing for `/v2/` itself. */
  needed: readonly Access[]
  /** `scheme://host` as the client sees it, for the realm; asked only where it is needed. */
  base: () => string
  /** The client's address; undefined on a unix socket. Asked only where a password is shown. */
  address: () => string | undefined
}

export interface Subject {
  /** `''` for a client without credentials. */
  name: string
  granted: readonly GrantedAccess[] | 'everything'
}

/** `challenge` is the value of WWW-Authenticate; `reason` is for the log alone. */
export type Verdict =
  | { allowed: true; subject: Subject }
  | { allowed: false; challenge: string; error?: ChallengeError; subject?: Subject; reason: string }

/** Who may pass to the registry. Every request of `/v2/` goes through one. */
export interface Gate {
  /** Who everybody is that passes unasked; undefined where requests are to be authorized. Spares an open registry the question. */
  readonly everybody?: Subject
  /**
   * @throws UnavailableError when it cannot find out, never for "no".
   * @throws ThrottledError after too many failed logins.
   */
  authorize(request: AccessRequest): Verdict | Promise<Verdict>
}

/** Where clients get tokens, and who may pull without one. */
export interface TokenGateOptions {
  verify: Verify
  /** URL of the token endpoint; undefined: `realmPath` of the host that the client called. */
  realm: string | undefined
  /** Path of Berth's own token endpoint, such as `/auth`. */
  realmPath: string
  service: string
  anonymous: 'none' | 'pull'
}

export interface BasicGateOptions {
  /** Of the Basic challenge. */
  realm: string
  login: Login
  /**
   * Where clients without credentials may pull, `/v2/` challenges with Bearer: a client chooses its scheme there, and
   * one that chose none never sends its password. Both ways are accepted then.
   */
  anonymous: { kind: 'none' } | { kind: 'pull'; tokens: Omit<TokenGateOptions, 'anonymous'> }
}

const ANONYMOUS: Subject = { name: '', granted: [] }

function isPull({ type, action }: Access): boolean {
  return type === 'repository' && action === 'pull'
}

/** `auth: none`: everybody may do everything. */
export function createOpenGate(): Gate {
  const everybody: Subject = { name: '', granted: 'everything' }
  const verdict: Verdict = { allowed: true, subject: everybody }
  return { everybody, authorize: () => verdict }
}

/** Bearer tokens (distribution, "Docker Registry v2 authentication via central service"). Always synchronous. */
export function createTokenGate(options: TokenGateOptions): { authorize(request: AccessRequest): Verdict } {
  const { verify, service, realmPath } = options
  const openPull = options.anonymous === 'pull'

  function refuse(request: AccessRequest, reason: string, error?: ChallengeError, subject?: Subject): Verdict {
    const realm = options.realm ?? request.base() + realmPath
    const challenge = bearerChallenge({ realm, service, needed: request.needed, error })
    return {
      allowed: false,
      challenge,
      reason,
      ...(error === undefined ? {} : { error }),
      ...(subject === undefined ? {} : { subject }),
    }
  }

  /** Whoever holds a token may also do what a client without one may. */
  function mayAll(needed: readonly Access[], granted: readonly GrantedAccess[]): boolean {
    for (const access of needed) {
      if (!(openPull && isPull(access)) && !covers(granted, access)) return false
    }
    return true
  }

  return {
    authorize(request) {
      const { authorization, needed } = request
      if (authorization === undefined) {
        if (openPull && needed.length > 0 && needed.every(isPull)) return { allowed: true, subject: ANONYMOUS }
        return refuse(request, 'authorization token required')
      }
      const token = parseBearer(authorization)
      if (token === undefined) return refuse(request, 'authorization token required')
      const verified = verify(token)
      if (verified.kind !== 'valid') return refuse(request, verified.reason, 'invalid_token')
      const { subject } = verified
      if (mayAll(needed, subject.granted)) return { allowed: true, subject }
      return refuse(request, 'insufficient scope', 'insufficient_scope', subject)
    },
  }
}

/** User name and password with each request (RFC 7617). Whoever logs in may do everything. */
export function createBasicGate({ realm, login, anonymous }: BasicGateOptions): Gate {
  const tokens = anonymous.kind === 'pull' ? createTokenGate({ ...anonymous.tokens, anonymous: 'pull' }) : undefined
  const challenge = basicChallenge(realm)
  return {
    async authorize(request) {
      const credentials = parseBasic(request.authorization)
      if (credentials === undefined) {
        return tokens?.authorize(request) ?? { allowed: false, challenge, reason: 'basic credentials required' }
      }
      const { user, password } = credentials
      const outcome = user === '' ? 'no-match' : await login(user, password, request.address())
      if (typeof outcome === 'object') return { allowed: true, subject: { name: user, granted: 'everything' } }
      const reason = `basic credentials refused: ${outcome}`
      const refused = tokens?.authorize({ ...request, authorization: undefined, needed: [] })
      if (refused === undefined || refused.allowed) return { allowed: false, challenge, reason }
      return { ...refused, reason }
    },
  }
}
