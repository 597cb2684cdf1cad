import type { KeyObject } from 'node:crypto'
import { explicit, integer, oid, sequence, set, time, utf8 } from './der.ts'
import {
  alternativeNames,
  authorityConstraints,
  authorityKeyId,
  extendedKeyUsage,
  keyUsage,
  leafConstraints,
  subjectKeyId,
} from './extension.ts'
import { signed } from './signature.ts'

interface Validity {
  /** 1 to 20 bytes. */
  serial: Uint8Array
  notBefore: Date
  notAfter: Date
}

export interface SelfSigned extends Validity {
  /** RSA, of P-256, P-384 or P-521, or Ed25519. */
  privateKey: KeyObject
  publicKey: KeyObject
  commonName: string
}

/** Who signs a certificate: the only attribute of its name, and its key. */
export interface Issuer {
  commonName: string
  privateKey: KeyObject
  publicKey: KeyObject
}

export interface Issued extends Validity {
  issuer: Issuer
  publicKey: KeyObject
  commonName: string
  /** Host names and IP addresses. */
  names: readonly string[]
  purposes: readonly ('server' | 'client')[]
}

/**
 * A self-signed X.509 version 3 certificate (RFC 5280 section 4.1), as DER: an authority in name, as `openssl req -x509`
 * makes it, because registries take it as a root of trust for tokens.
 * @throws Error for a key that signs no certificates.
 */
export function selfSignedCertificate(options: SelfSigned): Buffer {
  const { privateKey, commonName } = options
  return write({ ...options, issuer: commonName, signer: privateKey }, [
    authorityConstraints(),
    keyUsage('digitalSignature', 'keyCertSign'),
  ])
}

/** An authority that signs certificates of servers and nothing else, as DER. */
export function authorityCertificate(options: SelfSigned): Buffer {
  const { privateKey, publicKey, commonName } = options
  return write({ ...options, issuer: commonName, signer: privateKey }, [
    authorityConstraints(0),
    keyUsage('keyCertSign', 'cRLSign'),
    extendedKeyUsage('server'),
    subjectKeyId(publicKey),
  ])
}

/** A certificate of a server or client that an authority signs, as DER. */
export function issuedCertificate(options: Issued): Buffer {
  const { issuer, publicKey, names, purposes } = options
  return write({ ...options, issuer: issuer.commonName, signer: issuer.privateKey }, [
    leafConstraints(),
    keyUsage('digitalSignature'),
    extendedKeyUsage(...purposes),
    subjectKeyId(publicKey),
    authorityKeyId(issuer.publicKey),
    ...(names.length === 0 ? [] : [alternativeNames(names)]),
  ])
}

function write(
  options: Validity & { publicKey: KeyObject; commonName: string; issuer: string; signer: KeyObject },
  extensions: readonly Buffer[],
): Buffer {
  const { serial, notBefore, notAfter, publicKey, commonName, issuer, signer } = options
  return signed(signer, (algorithm) =>
    sequence(
      explicit(0, integer(Uint8Array.of(2))),
      integer(serial),
      algorithm,
      nameOf(issuer),
      sequence(time(notBefore), time(notAfter)),
      nameOf(commonName),
      publicKey.export({ format: 'der', type: 'spki' }),
      explicit(3, sequence(...extensions)),
    ),
  )
}

/** A name of one attribute. */
export function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(commonName))))
}

/** RFC 7468. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
