import { createHash, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { addressBytes } from './address.ts'
import { bits, implicit, integer, octets, oid, sequence, yes } from './der.ts'

/** Extensions of RFC 5280 section 4.2.1. */

export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [yes()] : []), octets(value))
}

/** `pathLength`: how many authorities may follow below; undefined: as many as they like. */
export function authorityConstraints(pathLength?: number): Buffer {
  const limit = pathLength === undefined ? [] : [integer(Uint8Array.of(pathLength))]
  return extension('2.5.29.19', sequence(yes(), ...limit), true)
}

export const leafConstraints = (): Buffer => extension('2.5.29.19', sequence(), true)

/** Places of the bits of KeyUsage. */
const KEY_USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const

export function keyUsage(...usages: readonly (keyof typeof KEY_USAGE)[]): Buffer {
  const byte = usages.reduce((sum, usage) => sum | KEY_USAGE[usage], 0)
  // DER: no zeros at the end.
  const unused = 31 - Math.clz32(byte & -byte)
  return extension('2.5.29.15', bits(Uint8Array.of(byte), unused), true)
}

const PURPOSES = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const

export function extendedKeyUsage(...purposes: readonly (keyof typeof PURPOSES)[]): Buffer {
  return extension('2.5.29.37', sequence(...purposes.map((purpose) => oid(PURPOSES[purpose]))))
}

export const subjectKeyId = (publicKey: KeyObject): Buffer => extension('2.5.29.14', octets(keyIdOf(publicKey)))

export const authorityKeyId = (publicKey: KeyObject): Buffer =>
  extension('2.5.29.35', sequence(implicit(0, keyIdOf(publicKey))))

/** Section 4.2.1.2, method 1: SHA-1 of the key's bits. */
function keyIdOf(publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  return createHash('sha1').update(bitsOfKey(spki)).digest()
}

/** SubjectPublicKeyInfo is SEQUENCE { algorithm SEQUENCE, BIT STRING }. */
function bitsOfKey(spki: Buffer): Buffer {
  const outer = headerOf(spki, 0)
  const algorithm = headerOf(spki, outer.start)
  const key = headerOf(spki, algorithm.end)
  return spki.subarray(key.start + 1, key.end)
}

function headerOf(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1] ?? 0
  if (first < 0x80) return { start: at + 2, end: at + 2 + first }
  const size = first & 0x7f
  const start = at + 2 + size
  return { start, end: start + der.readUIntBE(at + 2, size) }
}

/** subjectAltName of host names (which may begin with `*.`) and IP addresses. */
export function alternativeNames(names: readonly string[]): Buffer {
  const general = names.map((name) =>
    isIP(name) === 0 ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, addressBytes(name)),
  )
  return extension('2.5.29.17', sequence(...general))
}
