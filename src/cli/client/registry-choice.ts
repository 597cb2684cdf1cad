import { UpstreamError } from '../../upstream/error.ts'
import { parseRegistry } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** For an argument that may be left out. */
export const REGISTRY_ARGUMENT = 'HOST or HOST:PORT; the one that you are logged in to, unless told'

/** The registry that was named, else the one that somebody is logged in to. `usage`: how it is named. @throws UpstreamError `usage` unless there is just one */
export function chosenRegistry(
  upstream: Pick<Upstream, 'credentials'>,
  named: string | undefined,
  usage: string,
): string {
  if (named !== undefined) return parseRegistry(named)
  const [only, ...others] = [...new Set(upstream.credentials.registries())]
  if (only !== undefined && others.length === 0) return parseRegistry(only)
  const reason =
    only === undefined ? 'you are logged in to none' : `you are logged in to ${[only, ...others].join(', ')}`
  throw new UpstreamError('usage', `name the registry: ${reason}`, { hint: usage })
}
