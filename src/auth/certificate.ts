import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { algorithmFor } from './keys.ts'

/** AlgorithmIdentifier (RFC 5758 section 3.2, RFC 8017 appendix A.2.4, RFC 8410 section 3) and what `sign` takes for it. */
const SIGNATURES = {
  ES256: { identifier: '06082a8648ce3d040302', hash: 'sha256' },
  ES384: { identifier: '06082a8648ce3d040303', hash: 'sha384' },
  ES512: { identifier: '06082a8648ce3d040304', hash: 'sha512' },
  RS256: { identifier: '06092a864886f70d01010b0500', hash: 'sha256' },
  EdDSA: { identifier: '06032b6570', hash: null },
} as const

const COMMON_NAME = '0603550403'
const BASIC_CONSTRAINTS = '0603551d13'
const KEY_USAGE = '0603551d0f'

export interface SelfSigned {
  /** Of any kind that signs tokens. */
  privateKey: KeyObject
  publicKey: KeyObject
  commonName: string
  /** 1 to 20 bytes. */
  serial: Uint8Array
  notBefore: Date
  notAfter: Date
}

/**
 * A self-signed X.509 version 3 certificate (RFC 5280 section 4.1), as DER.
 * @throws Error for a key that signs no tokens.
 */
export function selfSignedCertificate(options: SelfSigned): Buffer {
  const kind = algorithmFor(createPublicKey(options.privateKey))
  if (kind === undefined) throw new Error('a key of this kind signs no certificates here')
  const { identifier, hash } = SIGNATURES[kind]
  const algorithm = sequence(hex(identifier))
  const name = sequence(tlv(0x31, sequence(hex(COMMON_NAME), tlv(0x0c, Buffer.from(options.commonName)))))
  const critical = tlv(0x01, hex('ff'))
  const extensions = sequence(
    // Registries take it as a root of trust: a certificate authority, as `openssl req -x509` makes it.
    sequence(hex(BASIC_CONSTRAINTS), critical, tlv(0x04, sequence(tlv(0x01, hex('ff'))))),
    // digitalSignature and keyCertSign.
    sequence(hex(KEY_USAGE), critical, tlv(0x04, tlv(0x03, hex('0284')))),
  )
  const body = sequence(
    tlv(0xa0, integer(Uint8Array.of(2))),
    integer(options.serial),
    algorithm,
    name,
    sequence(time(options.notBefore), time(options.notAfter)),
    name,
    options.publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, extensions),
  )
  const signature = sign(hash, body, options.privateKey)
  return sequence(body, algorithm, tlv(0x03, Buffer.concat([hex('00'), signature])))
}

/** RFC 7468. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function tlv(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...size), content])
}

function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function integer(bytes: Uint8Array): Buffer {
  // DER: as short as possible, and positive.
  const first = bytes.findIndex((byte) => byte !== 0)
  const short = bytes.subarray(first === -1 ? bytes.length - 1 : first)
  return tlv(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([hex('00'), short]) : short)
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits))
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}
