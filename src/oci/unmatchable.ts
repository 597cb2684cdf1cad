import { isMalformedGlob } from './glob.ts'

/** What a name may have (OCI Distribution Specification 1.1, "Pulling manifests"). */
const NAMES = {
  repository: { own: /[a-z0-9._/-]/, one: 'a repository' },
  tag: { own: /[A-Za-z0-9._-]/, one: 'a tag' },
}

/**
 * Why a glob matches no name that there can be, in words for who wrote it; undefined: it may match one. Expressions (`/…/`) and
 * classes (`[…]`) are taken at their word, and what is malformed is for others to tell.
 */
export function unmatchable(pattern: string, kind: keyof typeof NAMES): string | undefined {
  const bare = pattern.startsWith('!') ? pattern.slice(1) : pattern
  if (bare.length > 2 && bare.startsWith('/') && bare.endsWith('/')) return undefined
  if (isMalformedGlob(bare)) return undefined
  const { own, one } = NAMES[kind]
  // What stands for something else: classes, stars, and what docker_auth puts in the place of ${…}.
  const literal = bare.replace(/\\(.)|\$\{[^}]*\}|\[(?:\\.|[^\]])*\]|[*?]/gs, (_, masked?: string) => masked ?? '')
  const foreign = [...literal].find((character) => !own.test(character))
  if (foreign !== undefined) {
    const what = /\p{Lu}/u.test(foreign) ? 'capitals' : JSON.stringify(foreign)
    return `can match nothing: the name of ${one} has no ${what}`
  }
  if (kind === 'repository' && /^\/|\/$|\/\//.test(bare)) {
    return `can match nothing: the name of ${one} neither begins nor ends with "/", nor has two in a row`
  }
  return undefined
}
