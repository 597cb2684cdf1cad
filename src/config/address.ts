import { isIP } from '../oci/ip-address.ts'
import type { Listen } from './config.ts'

/** Names of Go's own table of services that someone may give a registry. */
const SERVICES: Record<string, number> = { http: 80, https: 443, 'http-alt': 8080 }

/**
 * Reads a listening address as Go's `net.Listen` does: `HOST:PORT`, where an empty host is every address, and the port
 * may be `http` or `https`. Every address is `::`, which takes IPv4 too (dual stack).
 * @returns the address, or what is wrong with it
 */
export function parseAddress(
  text: string,
): { listen: Extract<Listen, { kind: 'tcp' }> } | { wrong: string; fix?: string } {
  if (/^\d+$/.test(text)) return { wrong: `missing port in address ${JSON.stringify(text)}`, fix: `Write ":${text}".` }
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text)
  if (match === null) {
    if (text.includes('://')) return { wrong: 'is a URL, not an address', fix: 'Write HOST:PORT, such as ":5000".' }
    if (isIP(text) === 6) return { wrong: 'too many colons in the address', fix: `Write "[${text}]:5000".` }
    return {
      wrong: `${JSON.stringify(text)} is not HOST:PORT`,
      fix: 'Write an address such as ":5000" or "127.0.0.1:5000".',
    }
  }
  const [, bracketed, bare, service = ''] = match
  const host = bracketed ?? bare ?? ''
  if (bracketed !== undefined && bracketed !== '' && isIP(bracketed) !== 6)
    return { wrong: `[${bracketed}] is no IPv6 address` }
  if (bracketed === undefined && host !== '' && !isHostname(host)) {
    return {
      wrong: `${JSON.stringify(host)} is no host name or address`,
      fix: 'Leave the host empty for every address: ":5000".',
    }
  }
  const port = /^\d{1,5}$/.test(service) ? Number(service) : SERVICES[service]
  if (port === undefined || port > 65_535) {
    return { wrong: `${JSON.stringify(service)} is no port`, fix: 'A port is a number from 0 (any free one) to 65535.' }
  }
  return { listen: { kind: 'tcp', hostname: host === '' ? '::' : host, port } }
}

export function isHostname(host: string): boolean {
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4
  return (
    host.length <= 253 &&
    /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/.test(host)
  )
}
