import { contains, parseAddress, parseNetwork } from '../auth/ip.ts'
import type { DockerFacts } from './docker-files.ts'
import { isLoopbackAddress } from './host.ts'

/** How docker sees a registry: `loopback` and `listed` registries may be plain HTTP or have any certificate (moby, registry/config.go). */
export type DockerView = { kind: 'secure' } | { kind: 'loopback' } | { kind: 'listed'; value: string; line: number }

/** `addresses`: what the registry's host name means on this machine. */
export function viewOf(
  registry: string,
  addresses: readonly string[],
  { insecure }: Pick<DockerFacts, 'insecure'>,
): DockerView {
  const listed =
    typeof insecure === 'string'
      ? undefined
      : insecure.find(({ value }) => value === registry || holds(value, addresses))
  if (listed !== undefined) return { kind: 'listed', ...listed }
  return addresses.some(isLoopbackAddress) ? { kind: 'loopback' } : { kind: 'secure' }
}

function holds(block: string, addresses: readonly string[]): boolean {
  const network = block.includes('/') ? parseNetwork(block) : undefined
  if (network === undefined) return false
  return addresses.some((text) => {
    const address = parseAddress(text)
    return address !== undefined && contains(network, address)
  })
}
