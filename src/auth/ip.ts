import { isIP } from '../oci/ip-address.ts'

/** 4 bytes or 16; an IPv4 address in IPv6 clothes (`::ffff:1.2.3.4`) is 4. */
export type Address = Uint8Array

export interface Network {
  address: Address
  /** Leading bits of `address` that count. */
  bits: number
}

/** Undefined for what is no address; zones (`fe80::1%eth0`) are none. */
export function parseAddress(text: string): Address | undefined {
  const bytes = rawAddress(text)
  return bytes === undefined ? undefined : unmap(bytes)
}

/**
 * The peer of a connection or a value of X-Forwarded-For: `1.2.3.4`, `1.2.3.4:5`, `[2001:db8::1]:5`, `2001:db8::1`.
 */
export function parsePeer(text: string): Address | undefined {
  const plain = parseAddress(text)
  if (plain !== undefined) return plain
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):[^:[\]]*$/.exec(text)
  return match === null ? undefined : parseAddress(match[1] ?? match[2] ?? '')
}

/** `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/48`; bits behind the prefix are ignored. Undefined when malformed. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/')
  if (slash === -1) {
    const address = parseAddress(text)
    return address === undefined ? undefined : { address, bits: address.length * 8 }
  }
  const raw = rawAddress(text.slice(0, slash))
  const digits = text.slice(slash + 1)
  const bits = Number(digits)
  if (raw === undefined || !/^\d{1,3}$/.test(digits) || bits > raw.length * 8) return undefined
  const masked = raw.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, bits - i * 8)))))
  const address = unmap(masked)
  return { address, bits: bits - (raw.length - address.length) * 8 }
}

/** IPv4 is never in an IPv6 network, nor the other way round. */
export function contains({ address, bits }: Network, candidate: Address): boolean {
  if (address.length !== candidate.length) return false
  for (let i = 0; i * 8 < bits; i++) {
    const keep = 0xff << Math.max(0, 8 - (bits - i * 8))
    if ((((address[i] ?? 0) ^ (candidate[i] ?? 0)) & keep & 0xff) !== 0) return false
  }
  return true
}

/** The usual text of an address; IPv6 without the `::` shortening. */
export function formatAddress(address: Address): string {
  if (address.length === 4) return address.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((address[2 * i] ?? 0) << 8) | (address[2 * i + 1] ?? 0))
  return groups.map((group) => group.toString(16)).join(':')
}

function rawAddress(text: string): Uint8Array | undefined {
  const family = text.includes('%') ? 0 : isIP(text)
  if (family === 4) return Uint8Array.from(text.split('.'), Number)
  return family === 6 ? ipv6Bytes(text) : undefined
}

function ipv6Bytes(text: string): Uint8Array {
  const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const plain = v4 === null ? text : `${v4[1]}${pair(v4[2], v4[3])}:${pair(v4[4], v4[5])}`
  const [head = '', tail] = plain.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back]
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  )
}

function pair(high: string | undefined, low: string | undefined): string {
  return (Number(high) * 256 + Number(low)).toString(16)
}

function unmap(bytes: Uint8Array): Address {
  const mapped =
    bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((b) => b === 0)
  return mapped ? bytes.slice(12) : bytes
}
