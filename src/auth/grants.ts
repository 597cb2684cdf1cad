import type { Grant } from '../metadata/metadata.ts'
import { matchGlob } from './glob.ts'
import { parseScope } from './scope-request.ts'

/** `repository:team/**:pull,push`; undefined when the text is none. */
export function parseGrant(text: string): Grant | undefined {
  const scope = parseScope(text)
  if (typeof scope === 'string' || scope.name === '') return undefined
  const actions = [...new Set(scope.actions)].filter((action) => action !== '')
  return actions.length === 0 ? undefined : { type: scope.type, name: scope.name, actions }
}

export function formatGrant({ type, name, actions }: Grant): string {
  return `${type}:${name}:${actions.join(',')}`
}

/** The part of the asked actions that the grants cover, sorted; `*` among a grant's actions covers all. */
export function covered(
  grants: readonly Grant[],
  { type, name, actions }: { type: string; name: string; actions: readonly string[] },
): string[] {
  const fitting = grants.filter((grant) => grant.type === type && matchDeepGlob(grant.name, name))
  const allowed = (action: string) =>
    fitting.some((grant) => grant.actions.includes('*') || grant.actions.includes(action))
  return [...new Set(actions)].filter(allowed).sort()
}

/**
 * Like `matchGlob`, except that a path element `**` stands for any number of elements, none included: `team/**` matches
 * `team/a`, `team/a/b`, and not `team`.
 */
export function matchDeepGlob(pattern: string, text: string): boolean {
  if (!pattern.includes('**')) return matchGlob(pattern, text)
  return matchElements(pattern.split('/'), text.split('/'))
}

function matchElements(patterns: readonly string[], elements: readonly string[]): boolean {
  // reachable[j]: the patterns so far match the first j elements.
  let reachable = elements.map(() => false)
  reachable = [true, ...reachable]
  for (const [index, pattern] of patterns.entries()) {
    const next = reachable.map(() => false)
    if (pattern === '**') {
      // At the end it needs something to stand for, as `*` does.
      const least = index === patterns.length - 1 ? 1 : 0
      let seen = false
      for (let j = 0; j < next.length; j++) {
        if (j >= least && reachable[j - least]) seen = true
        next[j] = seen
      }
    } else {
      for (let j = 1; j < next.length; j++) {
        next[j] = reachable[j - 1] === true && matchGlob(pattern, elements[j - 1] ?? '')
      }
    }
    reachable = next
  }
  return reachable.at(-1) === true
}
