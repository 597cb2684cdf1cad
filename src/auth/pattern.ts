import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import type { Labels } from './authenticator.ts'
import { matchGlob } from './glob.ts'
import { matchDeepGlob } from './grants.ts'

/** The fields of a request that a rule can match and insert. */
export interface Fields {
  account: string
  type: string
  name: string
  service: string
}

export type Field = keyof Fields

const PLACEHOLDER = /\$\{(account|type|name|service)(?::(\d+))?\}|\$\{labels:([^{}]+)\}/g
/** Values tried for the `${labels:…}` of one pattern; past that the question is refused rather than answered late. */
const MAX_COMBINATIONS = 10_000

/** Regular expressions that rules make from a request; those without placeholders are few and stay. */
const compiled = new LRUCache<string, { regex: RE2JS | undefined }>({ max: 2_000 })

/** The expression of a `/pattern/`; undefined for a glob. */
function expressionOf(pattern: string): string | undefined {
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/') ? pattern.slice(1, -1) : undefined
}

function regexOf(expression: string): RE2JS | undefined {
  let known = compiled.get(expression)
  if (known === undefined) {
    known = { regex: tryCompile(expression) }
    compiled.set(expression, known)
  }
  return known.regex
}

function tryCompile(expression: string): RE2JS | undefined {
  try {
    return RE2JS.compile(expression)
  } catch {
    return undefined
  }
}

/** What is wrong with a pattern of a rule, in docker_auth's words; undefined when nothing is. Globs are never refused. */
export function patternProblem(pattern: string): string | undefined {
  const expression = expressionOf(pattern)
  if (expression === undefined) return undefined
  try {
    RE2JS.compile(expression)
    return undefined
  } catch (error) {
    return `invalid pattern "${pattern}": invalid regex pattern: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * `/re/` is an RE2 expression found anywhere in the text; everything else is a glob (`matchGlob`, or `matchDeepGlob`
 * where `deep`) for the whole text.
 * An expression that is not valid matches nothing.
 */
export function matchesText(pattern: string, text: string, deep = false): boolean {
  const expression = expressionOf(pattern)
  if (expression === undefined) return deep ? matchDeepGlob(pattern, text) : matchGlob(pattern, text)
  return regexOf(expression)?.test(text) ?? false
}

/** One request as seen by the patterns of one rule. */
export interface Subject {
  fields: Fields
  labels: Labels
  /** The rule's own patterns: `${account:1}` is a group of its `account` pattern. */
  rule: Partial<Record<Field, string | undefined>>
  /** Whether `**` of a glob crosses slashes. */
  deep: boolean
}

/**
 * Whether the pattern, its placeholders filled, matches the text. Fields are inserted as plain text, capture groups and
 * labels as they are (a label `test/*` is a pattern on purpose). Filling is one pass: what was inserted is not looked at again.
 *
 * @param withLabels `${labels:L}` stands for each value of the label in turn, every combination where there are several.
 * @throws RangeError when there are too many combinations.
 */
export function matches(pattern: string, text: string, subject: Subject, withLabels: boolean): boolean {
  if (!pattern.includes('${')) return matchesText(pattern, text, subject.deep)
  if (matchesText(fill(pattern, subject, undefined), text, subject.deep)) return true
  const names = withLabels ? labelsIn(pattern, subject.labels) : []
  if (names.length === 0) return false
  const sets = names.map((name) => subject.labels[name] ?? [])
  const total = sets.reduce((product, set) => product * set.length, 1)
  if (total > MAX_COMBINATIONS) throw new RangeError('too many combinations of labels')
  for (let n = 0; n < total; n++) {
    const chosen = new Map<string, string>()
    let rest = n
    for (const [i, set] of sets.entries()) {
      chosen.set(names[i] ?? '', set[rest % set.length] ?? '')
      rest = Math.floor(rest / set.length)
    }
    if (matchesText(fill(pattern, subject, chosen), text, subject.deep)) return true
  }
  return false
}

/** The user's labels that the pattern names. */
function labelsIn(pattern: string, labels: Labels): string[] {
  const names = new Set<string>()
  for (const match of pattern.matchAll(PLACEHOLDER)) {
    if (match[3] !== undefined && Object.hasOwn(labels, match[3])) names.add(match[3])
  }
  return [...names]
}

function fill(pattern: string, subject: Subject, labels: ReadonlyMap<string, string> | undefined): string {
  return pattern.replace(PLACEHOLDER, (placeholder, field: Field | undefined, group?: string, label?: string) => {
    if (label !== undefined) return labels?.get(label) ?? placeholder
    if (field === undefined) return placeholder
    if (group !== undefined) return capture(subject, field, Number(group)) ?? placeholder
    return quote(subject.fields[field])
  })
}

/** Group `group` (from 1) of the rule's own expression for that field, applied to the request; `''` if it took no part. */
function capture({ fields, rule }: Subject, field: Field, group: number): string | undefined {
  const expression = expressionOf(rule[field] ?? '')
  if (expression === undefined || group < 1) return undefined
  const regex = regexOf(expression)
  if (regex === undefined || group > regex.groupCount()) return undefined
  const matcher = regex.matcher(fields[field])
  return matcher.find() ? (matcher.group(group) ?? '') : undefined
}

/** Go's `regexp.QuoteMeta`; a glob takes the backslash, too. */
function quote(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
