/** One right that a request needs: the `type:name:action` of the Docker token scope. */
export interface Access {
  type: string
  name: string
  action: string
}

/** One entry of a token's `access` claim (distribution, "Docker Registry v2 authentication: token claims"). */
export interface GrantedAccess {
  type: string
  name: string
  actions: readonly string[]
  /** Kind of images (`plugin`); not there: `image`. */
  class?: string
}

export const CATALOG: Access = { type: 'registry', name: 'catalog', action: '*' }

export function repositoryAccess(name: string, ...actions: string[]): Access[] {
  return actions.map((action) => ({ type: 'repository', name, action }))
}

/** Whether `granted` covers `needed`: same type and name, and the action itself or `*`. */
export function covers(granted: readonly GrantedAccess[], needed: Access): boolean {
  return granted.some(
    (entry) =>
      entry.type === needed.type &&
      entry.name === needed.name &&
      (entry.actions.includes(needed.action) || entry.actions.includes('*')),
  )
}

/** `[{a,pull},{a,push}]` → `repository:a:pull,push`: one scope a resource, in the order first asked. */
export function formatScope(needed: readonly Access[]): string {
  const actions = new Map<string, string[]>()
  for (const { type, name, action } of needed) {
    const resource = `${type}:${name}`
    const known = actions.get(resource)
    if (known === undefined) actions.set(resource, [action])
    else if (!known.includes(action)) known.push(action)
  }
  return [...actions].map(([resource, list]) => `${resource}:${list.join(',')}`).join(' ')
}

/** Kinds of images that `granted` names for a repository; undefined where it does not name the repository. */
export function classesOf(granted: readonly GrantedAccess[], name: string): string[] | undefined {
  const own = granted.filter((entry) => entry.name === name)
  return own.length === 0 ? undefined : own.map((entry) => entry.class || 'image')
}

/** Names of the repositories that may be pulled from. */
export function pullable(granted: readonly GrantedAccess[]): string[] {
  return granted
    .filter(({ type, actions }) => type === 'repository' && (actions.includes('pull') || actions.includes('*')))
    .map(({ name }) => name)
}
