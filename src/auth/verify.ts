import { LRUCache } from 'lru-cache'
import type { GrantedAccess } from '../oci/scope.ts'
import { ALGORITHMS, signatureHolds } from './signature.ts'
import { isRecord, type Trust, type TrustedKey } from './trust.ts'

/** Clocks may differ by this, in milliseconds, as in distribution: so long a token is taken after its end. */
export const LEEWAY_MS = 60_000
/** Characters of remembered tokens at most. */
const CACHE_SIZE = 8 * 1024 * 1024
const CACHE_ENTRIES = 20_000

export interface VerifyOptions {
  trust: Trust
  /** What `aud` must hold. */
  service: string
  /** What `iss` must be, whatever key signed. */
  issuer: string
  /** What `iss` may be besides where Berth's own key signed: the issuer of its own token server. */
  ownIssuer?: string | undefined
  /** Undefined: every algorithm that registry 3 knows. */
  algorithms?: readonly string[] | undefined
  /** Milliseconds since the epoch. */
  now: () => number
}

/** A token that holds. The same object for the same token, so long as it is remembered. */
export interface VerifiedToken {
  kind: 'valid'
  subject: { name: string; granted: readonly GrantedAccess[] }
  /** Milliseconds since the epoch. */
  from: number
  until: number
}

/** `reason` is for the log alone. */
export type Verification = VerifiedToken | { kind: 'invalid_token'; reason: string }

export type Verify = (token: string) => Verification

/**
 * What a registry does with a token (distribution, "Docker Registry v2 authentication: verifying the token"; RFC 7515
 * section 5.2; RFC 7519 section 7.2). Synchronous; a token that was seen before costs a map lookup until it expires.
 */
export function createVerify(options: VerifyOptions): Verify {
  const { now, trust } = options
  let version = trust.version()
  const cache = new LRUCache<string, VerifiedToken>({
    max: CACHE_ENTRIES,
    maxSize: CACHE_SIZE,
    sizeCalculation: (_, token) => token.length,
  })
  return (token) => {
    const latest = trust.version()
    if (latest !== version) {
      // What a key that is gone has signed must go with it, whenever the token says that it ends.
      cache.clear()
      version = latest
    }
    const known = cache.get(token)
    if (known !== undefined) {
      const time = now()
      if (known.from <= time && time <= known.until) return known
      cache.delete(token)
    }
    try {
      const verified = verifyToken(token, options)
      cache.set(token, verified)
      return verified
    } catch (error) {
      return { kind: 'invalid_token', reason: error instanceof Error ? error.message : String(error) }
    }
  }
}

function verifyToken(token: string, options: VerifyOptions): VerifiedToken {
  const [head, body, tail, more] = token.split('.', 4)
  if (head === undefined || body === undefined || tail === undefined || more !== undefined) throw malformed()
  const header = parseObject(head)
  const algorithm = header.alg
  if (typeof algorithm !== 'string' || !(options.algorithms ?? ALGORITHMS).includes(algorithm)) {
    throw new Error(`token signature algorithm ${JSON.stringify(algorithm)} is not allowed`)
  }
  // RFC 7515 section 4.1.11: there is no extension that Berth understands.
  if (header.crit !== undefined) throw new Error('token has a critical header that is not supported')
  const trusted = signingKey(header, options.trust)
  if (trusted.algorithm !== undefined && trusted.algorithm !== algorithm) {
    throw new Error(`token signature algorithm "${algorithm}" is not the one of its key`)
  }
  const input = Buffer.from(token.slice(0, head.length + 1 + body.length), 'latin1')
  if (!holds(algorithm, trusted, input, decode(tail))) throw new Error('unable to verify token signature')
  const verified = checkClaims(parseObject(body), trusted.own, options)
  // A chain or key that ends before the token ends it for the memory, too.
  return { ...verified, until: Math.min(verified.until, trusted.until ?? Number.POSITIVE_INFINITY) }
}

function holds(algorithm: string, { key }: TrustedKey, input: Uint8Array, signature: Uint8Array): boolean {
  try {
    return signatureHolds(algorithm, key, input, signature)
  } catch {
    // A signature of the wrong shape.
    return false
  }
}

/** registry 3's order: `x5c`, then `jwk`, then `kid`; the first that is there decides. */
function signingKey({ x5c, jwk, kid }: Record<string, unknown>, trust: Trust): TrustedKey {
  if (x5c !== undefined) return trust.byChain(x5c)
  if (jwk !== undefined) {
    const trusted = trust.byJwk(jwk)
    if (trusted === undefined) throw new Error('token signed by untrusted key in its jwk header')
    return trusted
  }
  if (typeof kid !== 'string') throw new Error('unable to get token signing key')
  const trusted = trust.byId(kid)
  if (trusted === undefined)
    throw new Error(`token signed by untrusted key with ID: ${JSON.stringify(kid.slice(0, 200))}`)
  return trusted
}

function checkClaims(claims: Record<string, unknown>, own: boolean, options: VerifyOptions): VerifiedToken {
  const { iss, aud, sub = '', exp, nbf, access } = claims
  if (iss !== options.issuer && !(own && options.ownIssuer !== undefined && iss === options.ownIssuer)) {
    throw new Error(`token from untrusted issuer: ${show(iss)}`)
  }
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(options.service)) throw new Error(`token intended for another audience: ${show(aud)}`)
  if (typeof sub !== 'string') throw malformed()
  // A token without `exp` has expired: distribution reads it as 0.
  const until = seconds(exp ?? 0) * 1000 + LEEWAY_MS
  const from = nbf === undefined || nbf === null ? 0 : seconds(nbf) * 1000 - LEEWAY_MS
  const time = options.now()
  const clock = new Date(time).toISOString()
  if (time > until) throw new Error(`token not to be used after ${show(exp)} - currently ${clock}`)
  if (time < from) throw new Error(`token not to be used before ${show(nbf)} - currently ${clock}`)
  return { kind: 'valid', subject: { name: sub, granted: parseAccess(access) }, from, until }
}

/** A `null` where an entry should be (which the original dies of) grants nothing. */
function parseAccess(access: unknown): GrantedAccess[] {
  if (access === undefined || access === null) return []
  if (!Array.isArray(access)) throw malformed()
  return access
    .filter((entry: unknown) => entry !== null)
    .map((entry: unknown) => {
      if (!isRecord(entry)) throw malformed()
      const type = entry.type ?? ''
      const name = entry.name ?? ''
      const actions: unknown = entry.actions ?? []
      const kind = entry.class ?? ''
      if (typeof type !== 'string' || typeof name !== 'string' || !isTexts(actions)) throw malformed()
      if (typeof kind !== 'string') throw malformed()
      return { type, name, actions, ...(kind === '' ? {} : { class: kind }) }
    })
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function seconds(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed()
  return value
}

function parseObject(segment: string): Record<string, unknown> {
  const bytes = decode(segment)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw malformed()
  }
  if (!isRecord(value)) throw malformed()
  return value
}

/** base64url without padding, in its one canonical form, so that no two texts are the same token. */
function decode(segment: string): Buffer {
  const bytes = Buffer.from(segment, 'base64url')
  if (segment === '' || bytes.toString('base64url') !== segment) throw malformed()
  return bytes
}

function malformed(): Error {
  return new Error('malformed token')
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 200)
}
