import { sign as cryptoSign } from 'node:crypto'
import type { GrantedAccess } from '../oci/scope.ts'
import { carriedCertificates, type KeyIdForm, type SigningKey } from './keys.ts'

/** The claims of a registry token (distribution, "Docker Registry v2 Bearer token specification"); times in seconds. */
export interface Claims {
  iss: string
  sub: string
  aud: string
  exp: number
  nbf: number
  iat: number
  jti: string
  access: readonly GrantedAccess[]
  /** Of a token without rights alone, which tells its owner who it is taken for. */
  groups?: readonly string[]
}

export interface SignerOptions {
  key: SigningKey
  keyId: KeyIdForm
  /** `auto`: only while each certificate that would be carried is valid, for registries refuse an expired one. */
  x5c: 'auto' | 'always' | 'never'
  /** Milliseconds since the epoch. */
  now: () => number
}

/** A compact JWS (RFC 7515 section 3.1). */
export type Signer = (claims: Claims) => Promise<string>

/** Ed25519 hashes by itself (RFC 8032 section 5.1). */
const HASHES = { RS256: 'sha256', ES256: 'sha256', ES384: 'sha384', ES512: 'sha512', EdDSA: null } as const

/** Signs on threads of the pool: some 20 us with EC, 500 us with RSA, in which this thread answers others. */
export function createSigner({ key, keyId, x5c, now }: SignerOptions): Signer {
  const head = { typ: 'JWT', alg: key.algorithm, kid: key.ids[keyId] }
  const carried = carriedCertificates(key)
  const plain = encode(head)
  const chained = encode({ ...head, x5c: carried.map(({ raw }) => raw.toString('base64')) })
  const from = Math.max(...carried.map(({ validFrom }) => Date.parse(validFrom)))
  const to = Math.min(...carried.map(({ validTo }) => Date.parse(validTo)))
  const hash = HASHES[key.algorithm]
  // `dsaEncoding` concerns EC alone (RFC 7518 section 3.4); an EdDSA signature has one form (RFC 8037 section 3.1).
  const privateKey = { key: key.privateKey, dsaEncoding: 'ieee-p1363' } as const

  function header(): string {
    if (x5c !== 'auto') return x5c === 'always' ? chained : plain
    const time = now()
    return from <= time && time <= to ? chained : plain
  }

  return (claims) => {
    const input = `${header()}.${encode(claims)}`
    const bytes = Buffer.from(input, 'latin1')
    return new Promise((resolve, reject) => {
      cryptoSign(hash, bytes, privateKey, (error, signature) => {
        if (error === null) resolve(`${input}.${signature.toString('base64url')}`)
        else reject(error)
      })
    })
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const pool = new BigUint64Array(512)
let unused = 0

/** A `jti`: 63 random bits in decimal, the form that docker_auth gives it. */
export function randomTokenId(): string {
  if (unused === 0) {
    crypto.getRandomValues(pool)
    unused = pool.length
  }
  return ((pool[--unused] ?? 0n) >> 1n).toString()
}
