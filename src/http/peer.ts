import { BlockList, isIP } from 'node:net'

/** Addresses whose word about scheme and host is taken by default: they only shape URLs. */
const NEAR = new BlockList()
NEAR.addSubnet('127.0.0.0', 8)
NEAR.addSubnet('10.0.0.0', 8)
NEAR.addSubnet('172.16.0.0', 12)
NEAR.addSubnet('192.168.0.0', 16)
NEAR.addSubnet('169.254.0.0', 16)
NEAR.addSubnet('::1', 128, 'ipv6')
NEAR.addSubnet('fc00::', 7, 'ipv6')
NEAR.addSubnet('fe80::', 10, 'ipv6')

/** An address without the zone and without IPv4's disguise as IPv6. */
export function plainAddress(address: string): string {
  const unzoned = address.split('%', 1)[0] ?? ''
  return unzoned.toLowerCase().startsWith('::ffff:') && unzoned.includes('.') ? unzoned.slice(7) : unzoned
}

function contains(list: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  const family = isIP(plain)
  return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
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
  const list = new BlockList()
  for (const block of trusted) {
    const [address = '', bits] = block.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
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
