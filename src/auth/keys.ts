import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { libtrustId, strippedThumbprint, thumbprint } from './key-id.ts'

export type SigningAlgorithm = 'RS256' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA'
export type KeyIdForm = 'libtrust' | 'rfc7638'

/** A key of this token server, as whoever checks its tokens knows it. */
export interface VerifyingKey {
  algorithm: SigningAlgorithm
  publicKey: KeyObject
  /** Leaf first, as in the PEM. */
  certificates: readonly X509Certificate[]
  /** Every `kid` under which registries know the key. */
  ids: { libtrust: string; rfc7638: string; stripped: string }
  /** Milliseconds since the epoch after which it is trusted no more; undefined: no end is known. */
  until?: number
}

/** The pair that signs tokens. */
export interface SigningKey extends VerifyingKey {
  privateKey: KeyObject
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
const PRIVATE_KEY = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----[\s\S]*?-----END \1-----/

const CURVES: Record<string, SigningAlgorithm> = {
  prime256v1: 'ES256',
  'P-256': 'ES256',
  secp384r1: 'ES384',
  'P-384': 'ES384',
  secp521r1: 'ES512',
  'P-521': 'ES512',
}

/**
 * What a key of a pair signs with: RSA → RS256, P-256/384/521 → ES256/384/512 (RFC 7518 section 3.1), Ed25519 → EdDSA
 * (RFC 8037 section 3.1); undefined for every other key.
 */
export function algorithmFor(key: KeyObject): SigningAlgorithm | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType !== 'ec') return undefined
  return CURVES[key.asymmetricKeyDetails?.namedCurve ?? '']
}

/** The certificates of a PEM text, in order; other blocks and text between are skipped. @throws Error for one that is damaged. */
export function parseCertificates(pem: string): X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new Error(`certificate ${index + 1} of the PEM text cannot be read`, { cause })
    }
  })
}

/**
 * The signing pair from PEM texts: the certificate of the key first, then intermediates.
 * @throws Error saying which text is wrong, and how.
 */
export function loadSigningKey(certificatePem: string, keyPem: string): SigningKey {
  const certificates = parseCertificates(certificatePem)
  const leaf = certificates[0]
  if (leaf === undefined) throw new Error('the token certificate holds no "BEGIN CERTIFICATE" block')
  const privateKey = parsePrivateKey(keyPem)
  const publicKey = createPublicKey(privateKey)
  const known = verifyingKey(certificates, publicKey)
  if (!sameKey(leaf.publicKey, publicKey)) {
    const other = certificates.findIndex((certificate) => sameKey(certificate.publicKey, publicKey))
    throw new Error(
      other === -1
        ? 'the token key does not belong to the token certificate'
        : `the token key belongs to certificate ${other + 1} of the file: put that one first`,
    )
  }
  return { ...known, privateKey }
}

/** @throws Error for a kind of key that signs no tokens. */
export function verifyingKey(certificates: readonly X509Certificate[], publicKey: KeyObject): VerifyingKey {
  const algorithm = algorithmFor(publicKey)
  if (algorithm === undefined) {
    const curve = publicKey.asymmetricKeyDetails?.namedCurve
    const kind = `${String(publicKey.asymmetricKeyType)}${curve === undefined ? '' : ` ${curve}`}`
    throw new Error(`public key type ${kind} is not supported: use RSA, EC with P-256, P-384 or P-521, or Ed25519`)
  }
  return { algorithm, publicKey, certificates, ids: keyIds(publicKey) }
}

/** What a start should warn of when these keys sign tokens; undefined when every registry can check them. */
export function compatibilityWarning(keys: readonly VerifyingKey[]): string | undefined {
  if (!keys.some(({ algorithm }) => algorithm === 'EdDSA')) return undefined
  return (
    'tokens are signed with Ed25519, which registry 3.1 and later can check: registry 2.x and 3.0 cannot, and 2.x does ' +
    'not even start with such a certificate in its rootcertbundle; use an RSA or P-256 key for them'
  )
}

/** The names of a public key. @throws Error for a kind of key that no token is signed with. */
export function keyIds(key: KeyObject): SigningKey['ids'] {
  return { libtrust: libtrustId(key), rfc7638: thumbprint(key), stripped: strippedThumbprint(key) }
}

export function parsePrivateKey(pem: string): KeyObject {
  const block = PRIVATE_KEY.exec(pem)?.[0]
  if (block === undefined) throw new Error('the token key holds no "BEGIN ... PRIVATE KEY" block')
  if (block.includes('ENCRYPTED')) throw new Error('the token key is encrypted: store it without a passphrase')
  try {
    return createPrivateKey(block)
  } catch (cause) {
    throw new Error('the token key cannot be read', { cause })
  }
}

export function sameKey(a: KeyObject, b: KeyObject): boolean {
  const form = { format: 'der', type: 'spki' } as const
  return a.export(form).equals(b.export(form))
}

/** Whether the certificate is valid at that time (milliseconds). */
export function isValidAt(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo)
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey)
}

/** The certificates that a token carries: the leaf and intermediates, never a root (RFC 7515 section 4.1.6). */
export function carriedCertificates(key: VerifyingKey): X509Certificate[] {
  return key.certificates.filter((certificate, index) => index === 0 || !isSelfSigned(certificate))
}
