import { parseTarget, type Target } from './routes.ts'
import { decodePath, splitUrl } from './url.ts'

/** What a URL asks for. */
export interface Asked {
  /** Of the URL, as the client sent it. */
  path: string
  query: string
  /** What of the registry it names; undefined for everything else. */
  target: Target | undefined
  /** Whether the name in it was found valid. */
  named: boolean
}

/** URLs that memory holds, and the longest that it takes: room for any name and digest. */
const REMEMBERED = 2000
const LONGEST = 600

/**
 * Reads URLs of a registry below `prefix`. Those of manifests are remembered, for the same few are asked for again and again:
 * a URL means the same each time, whoever asks.
 */
export function createUrlReader(prefix: string): (url: string) => Asked {
  const known = new Map<string, Asked>()

  function read(url: string): Asked {
    const { path, query } = splitUrl(url)
    const target = path.startsWith(prefix) ? parseTarget(decodePath(path.slice(prefix.length - 1))) : undefined
    const asked = { path, query, target, named: false }
    if (target?.resource === 'manifest' && query === '' && url.length <= LONGEST) {
      if (known.size >= REMEMBERED) known.clear()
      known.set(url, asked)
    }
    return asked
  }

  return (url) => known.get(url) ?? read(url)
}
