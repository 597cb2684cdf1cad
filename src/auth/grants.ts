import type { Grant } from '../metadata/metadata.ts'
import { matchDeepGlob } from '../oci/deep-glob.ts'
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
