import { createHash, type KeyObject } from 'node:crypto'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/**
 * libtrust's fingerprint, which registry 2.x expects in `kid`: base32 of the first 30 bytes of SHA-256 of the
 * SubjectPublicKeyInfo, in 12 groups of 4 joined by `:`. libtrust itself knows RSA and EC keys only; others are named alike.
 */
export function libtrustId(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest()
  const groups: string[] = []
  // 5 bytes are 8 characters, so a group of 4 is 20 bits.
  for (let i = 0; i < 30; i += 5) {
    let text = ''
    let value = 0
    let bits = 0
    for (const byte of hash.subarray(i, i + 5)) {
      value = (value << 8) | byte
      bits += 8
      for (; bits >= 5; bits -= 5) text += BASE32[(value >> (bits - 5)) & 31]
      value &= (1 << bits) - 1
    }
    groups.push(text.slice(0, 4), text.slice(4))
  }
  return groups.join(':')
}

/** RFC 7638 thumbprint (SHA-256, base64url; Ed25519: RFC 8037 appendix A.3), which registry 3 expects in `kid`. */
export function thumbprint(key: KeyObject): string {
  return thumbprintOf(key, (coordinate) => coordinate)
}

/**
 * The thumbprint as registry 3 computes it for elliptic curves: coordinates without their leading zero bytes. It differs
 * from the standard one for about one key in 128.
 */
export function strippedThumbprint(key: KeyObject): string {
  return thumbprintOf(key, (coordinate) => {
    const bytes = Buffer.from(coordinate, 'base64url')
    const start = bytes.findIndex((byte) => byte !== 0)
    return bytes.subarray(Math.max(0, start)).toString('base64url')
  })
}

/** @throws Error for a kind of key that has no thumbprint here (secrets, X25519). */
function thumbprintOf(key: KeyObject, coordinate: (text: string) => string): string {
  const { kty, crv, e, n, x = '', y = '' } = key.export({ format: 'jwk' })
  // RFC 7638 section 3.2: the required members only, in this order, without space.
  let members: string
  if (kty === 'RSA') members = JSON.stringify({ e, kty, n })
  else if (kty === 'EC') members = JSON.stringify({ crv, kty, x: coordinate(x), y: coordinate(y) })
  else if (kty === 'OKP') members = JSON.stringify({ crv, kty, x })
  else throw new Error(`a key of type ${String(kty)} has no thumbprint`)
  return createHash('sha256').update(members).digest('base64url')
}
