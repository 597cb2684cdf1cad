import { readFileSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

/** What a machine knows of its own names, as it is now. */
export interface Machine {
  hostname(): string
  /** Text of the hosts file (hosts(5)). */
  hosts(): string
  /** Of every interface. */
  addresses(): string[]
}

export const thisMachine: Machine = {
  hostname,
  hosts() {
    try {
      return readFileSync('/etc/hosts', 'utf8')
    } catch {
      return ''
    }
  },
  addresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
}

/** Names of hosts as certificates and clients take them; the first label may be a star. */
const HOST_NAME = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/
const MAX_HOST_NAME = 253

export function isHostName(name: string): boolean {
  return name.length <= MAX_HOST_NAME && HOST_NAME.test(name)
}

/**
 * Names and addresses by which a machine may be reached: `localhost`, its host name, what the hosts file calls it besides,
 * and the addresses of its interfaces; link-local ones aside, which need a zone that no certificate can carry.
 */
export function namesOfMachine(machine: Machine): string[] {
  const own = machine.hostname().toLowerCase()
  const named = [own, ...aliasesOf(own, machine.hosts())].filter((name) => isHostName(name) && isIP(name) === 0)
  const addresses = machine.addresses().filter((address) => isIP(address) !== 0 && !/^fe[89ab]/i.test(address))
  return [...new Set(['localhost', ...named, '127.0.0.1', '::1', ...addresses.map(canonical)])]
}

/** All names on the lines that have this one: the full name stands there (hostname(1)). */
function aliasesOf(own: string, hosts: string): string[] {
  return hosts.split('\n').flatMap((line) => {
    const [, ...names] = line.replace(/#.*/, '').toLowerCase().trim().split(/\s+/)
    return names.includes(own) ? names : []
  })
}

/** IPv6 addresses in the one form of RFC 5952, others as they are. */
export function canonical(name: string): string {
  const lower = name.toLowerCase()
  return isIPv6(lower) ? new URL(`http://[${lower}]`).hostname.slice(1, -1) : lower
}
