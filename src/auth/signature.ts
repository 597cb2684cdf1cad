import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'

const CURVES: Record<string, readonly string[]> = {
  ES256: ['prime256v1', 'P-256'],
  ES384: ['secp384r1', 'P-384'],
  ES512: ['secp521r1', 'P-521'],
}

/** Signature algorithms that registry 3 knows (RFC 7518 section 3.1, RFC 8037); `none` is not among them. */
export const ALGORITHMS: readonly string[] = [
  'EdDSA',
  ...['RS', 'PS', 'ES', 'HS'].flatMap((family) => ['256', '384', '512'].map((bits) => family + bits)),
]

/**
 * Whether the signature of `input` is the key's, by that algorithm. An algorithm for another kind of key is a no: a
 * public key is never used as the secret of an HMAC.
 */
export function signatureHolds(algorithm: string, key: KeyObject, input: Uint8Array, signature: Uint8Array): boolean {
  const hash = `sha${algorithm.slice(2)}`
  const kind = key.type === 'secret' ? 'secret' : key.asymmetricKeyType
  switch (algorithm.slice(0, 2)) {
    case 'RS':
      return kind === 'rsa' && verify(hash, input, key, signature)
    case 'PS': {
      const padding = constants.RSA_PKCS1_PSS_PADDING
      const pss = { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      return kind === 'rsa' && verify(hash, input, pss, signature)
    }
    case 'ES': {
      const curve = key.asymmetricKeyDetails?.namedCurve ?? ''
      const known = kind === 'ec' && CURVES[algorithm]?.includes(curve) === true
      return known && verify(hash, input, { key, dsaEncoding: 'ieee-p1363' }, signature)
    }
    case 'HS': {
      if (kind !== 'secret') return false
      const mac = createHmac(hash, key).update(input).digest()
      return mac.length === signature.length && timingSafeEqual(mac, signature)
    }
    case 'Ed':
      return kind === 'ed25519' && verify(null, input, key, signature)
    default:
      return false
  }
}
