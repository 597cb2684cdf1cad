import { parseAddress } from './address.ts'
import type { Listen } from './config.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** What an unusable address is replaced by while the rest is checked; never served, as there is a problem then. */
const NOWHERE: Listen = { kind: 'tcp', hostname: '127.0.0.1', port: 0 }

export function resolveListen(net: string, address: string, path: Path, places: Places): Listen {
  if (net === 'unix') return { kind: 'unix', path: address }
  const parsed = parseAddress(address)
  if ('listen' in parsed) return parsed.listen
  places.problem(path, parsed.wrong, parsed.fix)
  return NOWHERE
}
