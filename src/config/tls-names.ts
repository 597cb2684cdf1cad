import { isIP } from '../oci/ip-address.ts'
import { isHostname } from './address.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** Names for a certificate, in lower case: host names (the first label may be a star) and IP addresses. */
export function resolveNames(names: readonly string[], path: Path, places: Places): string[] {
  return names.flatMap((name, index) => {
    if (name === '') return []
    const lower = name.toLowerCase()
    if (isIP(lower) !== 0 || isName(lower.replace(/^\*\./, ''))) return [lower]
    const fix = 'Write one such as registry.example or 192.0.2.1, without scheme and port.'
    places.problem([...path, index], `${JSON.stringify(name)} is no host name or IP address`, fix)
    return []
  })
}

/** Names that an ACME authority can ask at port 80: no stars, no addresses. */
export function resolveHosts(hosts: readonly { name: string; path: Path }[], places: Places): string[] {
  return hosts.flatMap(({ name, path }) => {
    const lower = name.toLowerCase()
    if (isIP(lower) === 0 && isName(lower)) return [lower]
    const reason = lower.startsWith('*.')
      ? 'has a star, which needs a challenge by DNS; HTTP-01 is what Berth does'
      : 'is no host name'
    places.problem(path, `${JSON.stringify(name)} ${reason}`, 'Write each name, such as registry.example.')
    return []
  })
}

function isName(name: string): boolean {
  return isHostname(name) && !name.endsWith('.')
}
