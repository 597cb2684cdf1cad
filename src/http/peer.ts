import { contains as holds, type Network, parseAddress, parseNetwork } from '../auth/ip.ts'
import { isIP } from '../oci/ip-address.ts'

/** Addresses whose word about scheme and host is taken by default: they only shape URLs. */
const NEAR = networks([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10',
])

/** An address without the zone and without IPv4's disguise as IPv6. */
export function plainAddress(address: string): string {
  const unzoned = address.split('%', 1)[0] ?? ''
  return unzoned.toLowerCase().startsWith('::ffff:') && unzoned.includes('.') ? unzoned.slice(7) : unzoned
}

function contains(list: readonly Network[], address: string): boolean {
  const plain = parseAddress(plainAddress(address))
  return plain !== undefined && list.some((network) => holds(network, plain))
}

function networks(blocks: readonly string[]): Network[] {
  return blocks.flatMap((block) => parseNetwork(block) ?? [])
}

/** Loopback, private and link-local addresses, and unix sockets (no address). */
export function isNear(address: string | undefined): boolean {
  return address === undefined || contains(NEAR, address)
}

export type ClientAddressOf = (peer: string | undefined, forwardedFor: string | null) => string | undefined

/**
 * Who the client is: the peer, unless that is a trusted proxy; then the nearest address of X-Forwarded-For that is not
 * one. `trusted` are CIDR blocks or addresses, checked when the configuration was read.
 */
export function createClientAddress(trusted: readonly string[]): ClientAddressOf {
  if (trusted.length === 0) return (peer) => (peer === undefined ? undefined : plainAddress(peer))
  const list = networks(trusted)
  return (peer, forwardedFor) => {
    if (peer === undefined) return undefined
    let client = plainAddress(peer)
    const hops = (forwardedFor ?? '').split(',').map((hop) => plainAddress(hop.trim()))
    while (contains(list, client)) {
      const hop = hops.pop()
      if (hop === undefined || isIP(hop) === 0) break
      client = hop
    }
    return client
  }
}
