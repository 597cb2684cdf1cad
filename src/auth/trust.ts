import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isValidAt, keyIds, parseCertificates, type SigningKey, sameKey } from './keys.ts'

export interface TrustOptions {
  /** PEM text: each certificate is trusted itself, and as the root of `x5c` chains (distribution's `rootcertbundle`). */
  rootCertBundle?: string | undefined
  /** JWKS text (RFC 7517 section 5); a key is found by its `kid`, or by its thumbprint where it has none. */
  jwks?: string | undefined
  /** Berth's own signing key. */
  own?: SigningKey | undefined
  /** Milliseconds since the epoch. */
  now: () => number
}

export interface TrustedKey {
  key: KeyObject
  /** The only algorithm that the key's owner allows (RFC 7517 section 4.4). */
  algorithm: string | undefined
  own: boolean
  /** Milliseconds since the epoch at which the certificates of its chain end; undefined: no chain. */
  until?: number
}

/** The keys that may have signed a token. */
export interface Trust {
  byId(kid: string): TrustedKey | undefined
  /** @throws Error (for the log) when the chain does not lead to a trusted certificate now. */
  byChain(x5c: unknown): TrustedKey
  /** The trusted key that a `jwk` header names or embeds (RFC 7515 section 4.1.3). @throws as `byChain`. */
  byJwk(jwk: unknown): TrustedKey | undefined
}

/** Certificates of one chain at most. */
const MAX_CHAIN = 10

/** @throws Error when a text is damaged, or when there is no key at all. */
export function createTrust(options: TrustOptions): Trust {
  const { own, now } = options
  const roots = options.rootCertBundle === undefined ? [] : parseCertificates(options.rootCertBundle)
  if (options.rootCertBundle !== undefined && roots.length === 0) {
    throw new Error('the rootcertbundle holds no "BEGIN CERTIFICATE" block')
  }
  const keys = new Map<string, TrustedKey>()
  for (const root of roots) addUnderIds(keys, { key: root.publicKey, algorithm: undefined, own: false })
  for (const [kid, key] of options.jwks === undefined ? [] : parseJwks(options.jwks)) keys.set(kid, key)
  // Last, for nobody else's file may take a name of Berth's own key.
  const ownKey = own === undefined ? undefined : { key: own.publicKey, algorithm: undefined, own: true }
  if (ownKey !== undefined) addUnderIds(keys, ownKey)
  if (keys.size === 0) throw new Error('token auth requires at least one token signing key')

  const ownLeaf = own?.certificates[0]?.raw.toString('base64')
  /** Chains that held, and until when: every token of a server carries the same one. */
  const chains = new LRUCache<string, { trusted: TrustedKey; from: number; until: number }>({ max: 100 })

  function byChain(x5c: unknown): TrustedKey {
    if (!isTextList(x5c) || x5c.length === 0 || x5c.length > MAX_CHAIN) throw new Error('malformed x5c header')
    // Its own certificate is Berth's trust in itself, whatever its dates.
    if (ownKey !== undefined && x5c[0] === ownLeaf) return ownKey
    const id = x5c.join(' ')
    const time = now()
    const known = chains.get(id)
    if (known !== undefined && known.from <= time && time <= known.until) return known.trusted
    const [leaf, ...intermediates] = x5c.map(parseDer)
    const path = leaf === undefined ? undefined : findPath(leaf, new Set(intermediates), roots, time)
    if (leaf === undefined || path === undefined) throw new Error('x5c: no valid chain to a trusted certificate')
    const from = Math.max(...path.map(({ validFrom }) => Date.parse(validFrom)))
    const until = Math.min(...path.map(({ validTo }) => Date.parse(validTo)))
    const trusted = { key: leaf.publicKey, algorithm: undefined, own: false, until }
    chains.set(id, { trusted, from, until })
    return trusted
  }

  return {
    byId: (kid) => keys.get(kid),
    byChain,
    byJwk(jwk) {
      if (!isRecord(jwk)) throw new Error('malformed jwk header')
      if (jwk.x5c !== undefined) return byChain(jwk.x5c)
      const named = typeof jwk.kid === 'string' ? keys.get(jwk.kid) : undefined
      return named ?? embedded(keys, jwk)
    },
  }
}

function embedded(keys: ReadonlyMap<string, TrustedKey>, jwk: Record<string, unknown>): TrustedKey | undefined {
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' })
  } catch (cause) {
    throw new Error('malformed jwk header', { cause })
  }
  const trusted = keys.get(keyIds(key).rfc7638)
  return trusted !== undefined && sameKey(trusted.key, key) ? trusted : undefined
}

function addUnderIds(keys: Map<string, TrustedKey>, trusted: TrustedKey): void {
  for (const id of Object.values(keyIds(trusted.key))) keys.set(id, trusted)
}

function parseJwks(text: string): [string, TrustedKey][] {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch (cause) {
    throw new Error('the JWKS file is not JSON', { cause })
  }
  if (!isRecord(set) || !Array.isArray(set.keys)) throw new Error('the JWKS file has no list "keys"')
  return set.keys.flatMap((jwk: unknown, index): [string, TrustedKey][] => {
    if (!isRecord(jwk)) throw new Error(`key ${index + 1} of the JWKS file is not an object`)
    if (jwk.use !== undefined && jwk.use !== 'sig') return []
    const { key, ids } = parseJwk(jwk, index)
    const algorithm = typeof jwk.alg === 'string' ? jwk.alg : undefined
    return ids.map((id) => [id, { key, algorithm, own: false }])
  })
}

function parseJwk(jwk: Record<string, unknown>, index: number): { key: KeyObject; ids: string[] } {
  try {
    const kid = typeof jwk.kid === 'string' ? [jwk.kid] : undefined
    if (jwk.kty === 'oct') {
      const secret = Buffer.from(typeof jwk.k === 'string' ? jwk.k : '', 'base64url')
      if (secret.length < 32) throw new Error('a symmetric key has at least 32 bytes')
      if (kid === undefined) throw new Error('a symmetric key needs a "kid"')
      return { key: createSecretKey(secret), ids: kid }
    }
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return { key, ids: kid ?? Object.values(keyIds(key)) }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`key ${index + 1} of the JWKS file cannot be used: ${text}`, { cause })
  }
}

function parseDer(text: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(text, 'base64'))
  } catch (cause) {
    throw new Error('malformed x5c header', { cause })
  }
}

/**
 * The path from the leaf to a trusted certificate (RFC 5280 section 6): each valid now, each issuer a certificate
 * authority that signed the one before. Path length constraints are not looked at: an authority that could exceed its
 * own can sign a leaf itself, and any leaf may sign tokens.
 */
function findPath(
  certificate: X509Certificate,
  untried: Set<X509Certificate>,
  roots: readonly X509Certificate[],
  now: number,
): X509Certificate[] | undefined {
  if (!isValidAt(certificate, now)) return undefined
  if (roots.some((root) => root.raw.equals(certificate.raw))) return [certificate]
  for (const root of roots) {
    if (isValidAt(root, now) && hasIssued(root, certificate)) return [certificate, root]
  }
  for (const issuer of [...untried]) {
    if (!untried.has(issuer) || !hasIssued(issuer, certificate)) continue
    // Where one leads does not depend on the way to it, so each is tried once: a ring ends, and a thicket costs its squares.
    untried.delete(issuer)
    const path = findPath(issuer, untried, roots, now)
    if (path !== undefined) return [certificate, ...path]
  }
  return undefined
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
