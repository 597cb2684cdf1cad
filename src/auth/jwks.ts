import type { webcrypto } from 'node:crypto'
import { carriedCertificates, isValidAt, type VerifyingKey } from './keys.ts'

export type PublishedKey = webcrypto.JsonWebKey & { kid: string; x5c?: string[] }

/**
 * The keys as a JWKS (RFC 7517 section 5; Ed25519: RFC 8037 section 2), each under every `kid` that a registry may look
 * for. Certificates are named while all of them are valid, for some readers refuse a key with an expired one.
 *
 * @param now milliseconds since the epoch.
 */
export function jwksOf(keys: readonly VerifyingKey[], now: number): { keys: PublishedKey[] } {
  const entries = new Map<string, PublishedKey>()
  for (const key of keys) {
    if (key.until !== undefined && now > key.until) continue
    const carried = carriedCertificates(key)
    const valid = carried.length > 0 && carried.every((certificate) => isValidAt(certificate, now))
    const x5c = valid ? { x5c: carried.map(({ raw }) => raw.toString('base64')) } : {}
    const jwk = { ...key.publicKey.export({ format: 'jwk' }), alg: key.algorithm, use: 'sig', ...x5c }
    for (const kid of Object.values(key.ids)) {
      // Of two certificates for one key the first in the list is in force.
      if (!entries.has(kid)) entries.set(kid, { ...jwk, kid })
    }
  }
  return { keys: [...entries.values()] }
}
