import type { RuleRow } from '../metadata/metadata.ts'
import { type Labels, UnavailableError } from './authenticator.ts'
import type { Lack } from './authorizer.ts'
import { type Effort, newEffort } from './effort.ts'
import { type Address, contains, formatAddress, type Network, parseNetwork } from './ip.ts'
import { type Fields, matches, patternProblem, type Subject } from './pattern.ts'

/** One rule, in docker_auth's terms; conditions that are absent match everything. */
export interface AclEntry {
  match: RuleRow['match']
  actions: readonly string[]
  comment: string | undefined
  /** `auth_config.yml:23`, for messages and the audit log. */
  where: string
}

/** Rules that were checked. */
export interface Acl {
  readonly rules: readonly Rule[]
}

export interface Rule {
  entry: AclEntry
  network: Network | undefined
  /** Whether a path element `**` of a glob stands for any number of elements (Berth's own rules; docker_auth's do not). */
  deep: boolean
}

export interface AclRequest extends Fields {
  ip: Address | undefined
  labels: Labels
  /** As asked: sorted, duplicates and empty ones kept. */
  actions: readonly string[]
  /** What the labels of all scopes of one token request may cost together; undefined: each pattern for itself. */
  effort?: Effort | undefined
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
export function compileAcl(entries: readonly AclEntry[], { deep = false }: { deep?: boolean } = {}): Acl {
  const problems = aclProblems(entries)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return {
    rules: entries.map((entry) => ({
      entry,
      network: entry.match.ip === undefined ? undefined : parseNetwork(entry.match.ip),
      deep,
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
  for (const [index, rule] of acl.rules.entries()) {
    if (ruleMatches(rule, request)) return { actions: intersect(rule.entry.actions, request.actions), rule: index }
  }
  return { actions: [], rule: undefined }
}

/** Conditions in the order in which they are looked at; the first that fails ends it. @throws as `decide`. */
export function ruleMatches(rule: Rule, request: AclRequest): boolean {
  return (
    addressMatches(rule, request) &&
    FIELDS.every((field) => fieldMatches(rule, request, field)) &&
    labelsMatch(rule, request)
  )
}

const FIELDS = ['account', 'type', 'name', 'service'] as const

function addressMatches({ network }: Rule, { ip }: AclRequest): boolean {
  return network === undefined || (ip !== undefined && contains(network, ip))
}

function fieldMatches(rule: Rule, request: AclRequest, field: (typeof FIELDS)[number]): boolean {
  const pattern = rule.entry.match[field]
  return pattern === undefined || bounded(() => matches(pattern, request[field], subjectOf(rule, request), true))
}

/** Each named label must have a value that matches; labels are not inserted into the patterns of labels. */
function labelsMatch(rule: Rule, request: AclRequest): boolean {
  const { labels } = rule.entry.match
  if (labels === undefined) return true
  return Object.entries(labels).every(([label, pattern]) => labelMatches(rule, request, label, pattern))
}

function labelMatches(rule: Rule, request: AclRequest, label: string, pattern: string): boolean {
  const values = Object.hasOwn(request.labels, label) ? (request.labels[label] ?? []) : []
  return values.some((value) => bounded(() => matches(pattern, value, subjectOf(rule, request), false)))
}

function subjectOf({ entry, deep }: Rule, request: AclRequest): Subject {
  return { fields: request, labels: request.labels, rule: entry.match, deep, effort: request.effort ?? newEffort() }
}

function bounded(ask: () => boolean): boolean {
  try {
    return ask()
  } catch (cause) {
    throw new UnavailableError(cause instanceof RangeError ? cause.message : 'internal error', { cause })
  }
}

/** Each condition that the request does not meet; empty when the rule matches. @throws as `decide`. */
export function lacksOf(rule: Rule, request: AclRequest): Lack[] {
  const { match } = rule.entry
  const fields = FIELDS.filter((field) => !fieldMatches(rule, request, field)).map(
    (field): Lack => ({ condition: field, wanted: match[field] ?? '', had: request[field] }),
  )
  const address: Lack[] = addressMatches(rule, request)
    ? []
    : [
        {
          condition: 'ip',
          wanted: match.ip ?? '',
          had: request.ip === undefined ? 'unknown' : formatAddress(request.ip),
        },
      ]
  const labels = Object.entries(match.labels ?? {})
    .filter(([label, pattern]) => !labelMatches(rule, request, label, pattern))
    .map(([label, pattern]): Lack => {
      const values = Object.hasOwn(request.labels, label) ? (request.labels[label] ?? []) : []
      return { condition: `label ${label}`, wanted: pattern, had: values.join(', ') }
    })
  return [...fields, ...address, ...labels]
}

/** What a rule's grant leaves of what was asked: a grant of exactly `["*"]` all of it, any other the intersection, sorted. */
export function intersect(granted: readonly string[], asked: readonly string[]): readonly string[] {
  if (granted.length === 1 && granted[0] === '*') return asked
  return [...new Set(asked)].filter((action) => granted.includes(action)).sort()
}
