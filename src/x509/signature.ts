import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { bits, oid, sequence } from './der.ts'

/** RFC 5758 section 3.2, RFC 8017 appendix A.2.4, RFC 8410 section 3; and what `sign` takes for it. */
const ALGORITHMS: Record<string, { identifier: Buffer; hash: string | null }> = {
  prime256v1: { identifier: sequence(oid('1.2.840.10045.4.3.2')), hash: 'sha256' },
  secp384r1: { identifier: sequence(oid('1.2.840.10045.4.3.3')), hash: 'sha384' },
  secp521r1: { identifier: sequence(oid('1.2.840.10045.4.3.4')), hash: 'sha512' },
  rsa: { identifier: sequence(oid('1.2.840.113549.1.1.11'), Buffer.from('0500', 'hex')), hash: 'sha256' },
  ed25519: { identifier: sequence(oid('1.3.101.112')), hash: null },
}

/** AlgorithmIdentifier of the signatures of a key. @throws Error for a kind of key that signs no certificates here. */
function algorithmOf(privateKey: KeyObject): { identifier: Buffer; hash: string | null } {
  const { asymmetricKeyType = '', asymmetricKeyDetails } = createPublicKey(privateKey)
  const algorithm = ALGORITHMS[asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType]
  if (algorithm === undefined) throw new Error('a key of this kind signs no certificates here')
  return algorithm
}

/** SEQUENCE of what is signed, how, and the signature (RFC 5280 section 4.1.1, RFC 2986 section 4.2). */
export function signed(privateKey: KeyObject, bodyOf: (algorithm: Buffer) => Buffer): Buffer {
  const { identifier, hash } = algorithmOf(privateKey)
  const body = bodyOf(identifier)
  return sequence(body, identifier, bits(sign(hash, body, privateKey)))
}
