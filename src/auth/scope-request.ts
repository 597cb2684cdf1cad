/** A scope as a client asks for it. */
export interface ScopeRequest {
  type: string
  /** May hold `host:port/`; not checked, for a grant of a name that cannot exist opens nothing. */
  name: string
  /** Sorted; duplicates and empty ones kept. */
  actions: readonly string[]
}

/**
 * `type[(class)]:name:action[,action]`, where the name may hold one colon (`host:5000/x`). As docker_auth reads it, the
 * type is the first run of `[a-z0-9]`, so the class goes.
 *
 * @returns the text of the complaint where it is none.
 */
export function parseScope(text: string): ScopeRequest | string {
  const parts = text.split(':')
  const [kind = '', ...rest] = parts
  const type = /[a-z0-9]+/.exec(kind)?.[0]
  if (type === undefined) return 'malformed scope request'
  if (parts.length !== 3 && parts.length !== 4) return `invalid scope: ${JSON.stringify(text)}`
  const actions = (rest.pop() ?? '').split(',').sort()
  return { type, name: rest.join(':'), actions }
}

/** All values of the parameter `scope`: each may hold several, separated by one space. An empty first value is none at all. */
export function parseScopes(values: readonly string[]): ScopeRequest[] | string {
  const scopes: ScopeRequest[] = []
  if (values[0] === undefined || values[0] === '') return scopes
  for (const piece of values.flatMap((value) => value.split(' '))) {
    const scope = parseScope(piece)
    if (typeof scope === 'string') return scope
    scopes.push(scope)
  }
  return scopes
}
