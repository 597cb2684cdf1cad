import { type Acl, type AclRequest, decide, intersect, lacksOf, ruleMatches } from './acl.ts'
import { ANONYMOUS } from './authenticator.ts'
import type { AclMode, Authorizer, Ruling, Trace } from './authorizer.ts'

/** Rules that a ruling names at most. */
const NAMED_RULES = 5

/**
 * What the rules say. `first-match`: the first that matches decides, even if it grants nothing. `union`: every rule that
 * matches adds its part, and so does every one that matches a client without credentials, so that nobody loses by
 * logging in.
 *
 * @returns undefined when no rule matches.
 * @throws UnavailableError where a rule cannot be evaluated within bounds.
 */
export function authorizeAcl(acl: Acl, request: AclRequest, mode: AclMode): Ruling | undefined {
  if (mode === 'first-match') {
    const { actions, rule } = decide(acl, request)
    return rule === undefined ? undefined : { actions, rule: acl.rules[rule]?.entry.where ?? '' }
  }
  const stranger = { ...request, account: ANONYMOUS, labels: {} }
  const fitting = acl.rules.filter((rule) => ruleMatches(rule, request) || ruleMatches(rule, stranger))
  if (fitting.length === 0) return undefined
  const parts = fitting.map(({ entry }) => intersect(entry.actions, request.actions))
  const adding = fitting.filter((_, index) => (parts[index]?.length ?? 0) > 0)
  const named = (adding.length === 0 ? fitting : adding).map(({ entry }) => entry.where)
  return { actions: sum(parts, request.actions), rule: named.slice(0, NAMED_RULES).join(' + ') }
}

/** The union of the parts; all of what was asked, as asked, where one part is that. */
export function sum(parts: readonly (readonly string[])[], asked: readonly string[]): readonly string[] {
  return parts.includes(asked) ? asked : [...new Set(parts.flat())].sort()
}

/** Each rule in order with what it lacked, up to the one that decides; in `union` mode all of them. */
export function explainAcl(acl: Acl, request: AclRequest, mode: AclMode): Trace[] {
  const stranger = { ...request, account: ANONYMOUS, labels: {} }
  const traces: Trace[] = []
  for (const rule of acl.rules) {
    const { where, comment, actions } = rule.entry
    const own = lacksOf(rule, request)
    const lacks = mode === 'union' && own.length > 0 && ruleMatches(rule, stranger) ? [] : own
    const granted = lacks.length === 0 ? intersect(actions, request.actions) : []
    traces.push({ rule: where, comment, lacks, actions: granted })
    if (lacks.length === 0 && mode === 'first-match') break
  }
  return traces
}

/** A list of rules as a source of decisions; `acl` is asked each time, for lists that change. */
export function createAclAuthorizer(name: string, acl: () => Acl | Promise<Acl>): Authorizer {
  return {
    name,
    authorize(request, mode) {
      const rules = acl()
      if (rules instanceof Promise) return rules.then((loaded) => authorizeAcl(loaded, request, mode))
      return authorizeAcl(rules, request, mode)
    },
    explain: async (request, mode) => explainAcl(await acl(), request, mode),
  }
}
