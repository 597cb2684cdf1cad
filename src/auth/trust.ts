import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isValidAt, keyIds, parseCertificates, sameKey, type VerifyingKey } from './keys.ts'

export interface TrustOptions {
  /** PEM text: each certificate is trusted itself, and as the root of `x5c` chains (distribution's `rootcertbundle`). */
  rootCertBundle?: string | undefined
  /** JWKS text (RFC 7517 section 5); a key is found by its `kid`, or by its thumbprint where it has none. */
  jwks?: string | undefined
  /**
   * Berth's own key, or its keys as they are now: the same array until one comes or goes (it is asked for each token),
   * and of two certificates for one key the one in force first.
   */
  own?: VerifyingKey | (() => readonly VerifyingKey[]) | undefined
  /** Milliseconds since the epoch. */
  now: () => number
}

export interface TrustedKey {
  key: KeyObject
  /** The only algorithm that the key's owner allows (RFC 7517 section 4.4). */
  algorithm: string | undefined
  own: boolean
  /** Milliseconds since the epoch at which the trust in it ends; undefined: no end is known. */
  until?: number
}

/** The keys that may have signed a token. */
export interface Trust {
  byId(kid: string): TrustedKey | undefined
  /** @throws Error (for the log) when the chain does not lead to a trusted certificate now. */
  byChain(x5c: unknown): TrustedKey
  /** The trusted key that a `jwk` header names or embeds (RFC 7515 section 4.1.3). @throws as `byChain`. */
  byJwk(jwk: unknown): TrustedKey | undefined
  /** Another value when keys have come or gone: what was verified before may hold no more. */
  version(): unknown
}

/** Certificates of one chain at most. */
const MAX_CHAIN = 10

/** @throws Error when a text is damaged, or when there is no key at all. */
export function createTrust(options: TrustOptions): Trust {
  const { now } = options
  const own = createOwnKeys(options)
  const roots = options.rootCertBundle === undefined ? [] : parseCertificates(options.rootCertBundle)
  if (options.rootCertBundle !== undefined && roots.length === 0) {
    throw new Error('the rootcertbundle holds no "BEGIN CERTIFICATE" block')
  }
  const keys = new Map<string, TrustedKey>()
  for (const root of roots) addUnderIds(keys, { key: root.publicKey, algorithm: undefined, own: false })
  for (const [kid, key] of options.jwks === undefined ? [] : parseJwks(options.jwks)) keys.set(kid, key)
  if (keys.size === 0 && own.table().byId.size === 0) {
    throw new Error('token auth requires at least one token signing key')
  }
  // First, for nobody else's file may take a name of Berth's own keys.
  const byId = (kid: string) => own.valid(own.table().byId.get(kid)) ?? keys.get(kid)

  /** Chains that held, and until when: every token of a server carries the same one. */
  const chains = new LRUCache<string, { trusted: TrustedKey; from: number; until: number }>({ max: 100 })

  function byChain(x5c: unknown): TrustedKey {
    if (!isTextList(x5c) || x5c.length === 0 || x5c.length > MAX_CHAIN) throw new Error('malformed x5c header')
    // Its own certificate is Berth's trust in itself, whatever its dates.
    const mine = own.valid(own.table().byLeaf.get(x5c[0] ?? ''))
    if (mine !== undefined) return mine
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
    byId,
    byChain,
    version: () => own.table(),
    byJwk(jwk) {
      if (!isRecord(jwk)) throw new Error('malformed jwk header')
      if (jwk.x5c !== undefined) return byChain(jwk.x5c)
      const named = typeof jwk.kid === 'string' ? byId(jwk.kid) : undefined
      return named ?? embedded(byId, jwk)
    },
  }
}

interface OwnTable {
  byId: ReadonlyMap<string, TrustedKey>
  /** By the base64 of the certificate. */
  byLeaf: ReadonlyMap<string, TrustedKey>
}

function createOwnKeys({ own, now }: TrustOptions): {
  /** The same object so long as the keys are the same. */
  table(): OwnTable
  /** The key, unless the trust in it has ended. */
  valid(trusted: TrustedKey | undefined): TrustedKey | undefined
} {
  const fixed = typeof own === 'object' ? [own] : []
  const list = typeof own === 'function' ? own : () => fixed
  let seen = list()
  let made = tableOf(seen)
  return {
    table() {
      const keys = list()
      if (keys !== seen) {
        made = tableOf(keys)
        seen = keys
      }
      return made
    },
    valid: (trusted) => (trusted?.until !== undefined && now() > trusted.until ? undefined : trusted),
  }
}

function tableOf(keys: readonly VerifyingKey[]): OwnTable {
  const byId = new Map<string, TrustedKey>()
  const byLeaf = new Map<string, TrustedKey>()
  for (const { publicKey, ids, certificates, until } of keys) {
    const trusted = { key: publicKey, algorithm: undefined, own: true, ...(until === undefined ? {} : { until }) }
    const leaf = certificates[0]?.raw.toString('base64')
    if (leaf !== undefined && !byLeaf.has(leaf)) byLeaf.set(leaf, trusted)
    for (const id of Object.values(ids)) if (!byId.has(id)) byId.set(id, trusted)
  }
  return { byId, byLeaf }
}

function embedded(byId: (kid: string) => TrustedKey | undefined, jwk: Record<string, unknown>): TrustedKey | undefined {
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' })
  } catch (cause) {
    throw new Error('malformed jwk header', { cause })
  }
  const trusted = byId(keyIds(key).rfc7638)
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
