import { type Labels, UnavailableError } from './authenticator.ts'
import { type Address, contains, type Network, parseNetwork } from './ip.ts'
import { type Fields, matches, patternProblem, type Subject } from './pattern.ts'

/** One rule, in docker_auth's terms; conditions that are absent match everything. */
export interface AclEntry {
  match: {
    account?: string | undefined
    type?: string | undefined
    name?: string | undefined
    service?: string | undefined
    ip?: string | undefined
    labels?: Record<string, string> | undefined
  }
  actions: readonly string[]
  comment: string | undefined
  /** `auth_config.yml:23`, for messages and the audit log. */
  where: string
}

/** Rules that were checked. */
export interface Acl {
  readonly rules: readonly { entry: AclEntry; network: Network | undefined }[]
}

export interface AclRequest extends Fields {
  ip: Address | undefined
  labels: Labels
  /** As asked: sorted, duplicates and empty ones kept. */
  actions: readonly string[]
}

/** A decision; `rule` is the index of the entry that made it, undefined when none matched. */
export interface Decision {
  actions: readonly string[]
  rule: number | undefined
}

/** What is wrong with the rules, one sentence each; empty when nothing is. */
export function aclProblems(entries: readonly AclEntry[]): string[] {
  return entries.flatMap(({ match, where }, index) => {
    const at = `${where}: invalid ACL: entry ${index}, invalid match conditions: `
    const patterns = [match.account, match.type, match.name, match.service].map((text) => patternProblem(text ?? ''))
    const labels = Object.entries(match.labels ?? {}).map(([label, text]) => {
      const problem = patternProblem(text)
      return problem === undefined ? undefined : `invalid match pattern "${text}" for label ${label}: ${problem}`
    })
    const bad = match.ip !== undefined && parseNetwork(match.ip) === undefined
    const ip = bad ? `invalid IP pattern: ${match.ip} is neither an address nor a CIDR block` : undefined
    return [...patterns, ip, ...labels].filter((problem) => problem !== undefined).map((problem) => at + problem)
  })
}

/** @throws Error with every problem, a line each. */
export function compileAcl(entries: readonly AclEntry[]): Acl {
  const problems = aclProblems(entries)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return {
    rules: entries.map((entry) => ({
      entry,
      network: entry.match.ip === undefined ? undefined : parseNetwork(entry.match.ip),
    })),
  }
}

/**
 * The first rule that matches decides, even if it grants nothing. A grant of exactly `["*"]` is whatever was asked,
 * as asked; any other is the intersection, sorted, in which a `*` is only a word.
 *
 * @throws UnavailableError where a rule cannot be evaluated within bounds.
 */
export function decide(acl: Acl, request: AclRequest): Decision {
  for (const [index, { entry, network }] of acl.rules.entries()) {
    if (ruleMatches(entry, network, request)) return { actions: intersect(entry.actions, request.actions), rule: index }
  }
  return { actions: [], rule: undefined }
}

function ruleMatches({ match }: AclEntry, network: Network | undefined, request: AclRequest): boolean {
  if (network !== undefined && (request.ip === undefined || !contains(network, request.ip))) return false
  const subject: Subject = { fields: request, labels: request.labels, rule: match }
  try {
    return (
      (match.account === undefined || matches(match.account, request.account, subject, true)) &&
      (match.type === undefined || matches(match.type, request.type, subject, true)) &&
      (match.name === undefined || matches(match.name, request.name, subject, true)) &&
      (match.service === undefined || matches(match.service, request.service, subject, true)) &&
      labelsMatch(match.labels, subject)
    )
  } catch (cause) {
    throw new UnavailableError(cause instanceof RangeError ? cause.message : 'internal error', { cause })
  }
}

/** Each named label must have a value that matches; labels are not inserted into the patterns of labels. */
function labelsMatch(wanted: Record<string, string> | undefined, subject: Subject): boolean {
  return Object.entries(wanted ?? {}).every(([label, pattern]) => {
    const values = Object.hasOwn(subject.labels, label) ? (subject.labels[label] ?? []) : []
    return values.some((value) => matches(pattern, value, subject, false))
  })
}

function intersect(granted: readonly string[], asked: readonly string[]): readonly string[] {
  if (granted.length === 1 && granted[0] === '*') return asked
  return [...new Set(asked)].filter((action) => granted.includes(action)).sort()
}

export interface DefaultRequest {
  account: string
  admin: boolean
  type: string
  name: string
  actions: readonly string[]
}

/**
 * Berth's own rules, where none are configured: administrators may do everything, other users pull and push in every
 * repository and list the catalog, a client without credentials nothing.
 */
export function decideByDefault({ account, admin, type, name, actions }: DefaultRequest): Decision {
  if (account === '') return { actions: [], rule: undefined }
  if (admin || (type === 'registry' && name === 'catalog')) return { actions, rule: undefined }
  return { actions: type === 'repository' ? intersect(['pull', 'push'], actions) : [], rule: undefined }
}
