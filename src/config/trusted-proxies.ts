import { isIP } from '../oci/ip-address.ts'
import type { Path } from './node.ts'
import { isCidr, isIpPattern } from './pattern.ts'
import type { Places } from './places.ts'

/** A list of CIDR blocks; an address alone is a block of one. */
export function resolveTrustedProxies(blocks: readonly string[], path: Path, places: Places): string[] {
  return blocks.map((block, index) => {
    if (isCidr(block)) return block
    if (isIpPattern(block)) return `${block}/${isIP(block) === 4 ? 32 : 128}`
    places.problem([...path, index], `${JSON.stringify(block)} is no CIDR block`, 'Write one such as 10.0.0.0/8.')
    return block
  })
}
