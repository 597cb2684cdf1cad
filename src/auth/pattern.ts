import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import { matchDeepGlob } from '../oci/deep-glob.ts'
import { isMalformedGlob, matchGlob } from '../oci/glob.ts'
import type { Labels } from './authenticator.ts'
import { costOfCompiling, costOfLook, costOfMatch, type Effort, spend } from './effort.ts'
import {
  type Field,
  type Fields,
  isFound,
  isTame,
  keepsGlob,
  type Label,
  type Part,
  type Template,
  templateOf,
} from './template.ts'

export type { Field, Fields } from './template.ts'

type Known = LRUCache<string, { regex: RE2JS | undefined }>

/** Regular expressions as rules have them. Those that requests make have places of their own, so as not to push these out. */
const written: Known = new LRUCache({ max: 2_000 })
const filledWithFields: Known = new LRUCache({ max: 2_000 })
const filledWithLabels: Known = new LRUCache({ max: 1_000 })

/** The expression of a `/pattern/`; undefined for a glob. */
function expressionOf(pattern: string): string | undefined {
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/') ? pattern.slice(1, -1) : undefined
}

/** @param effort what compiling is charged to; undefined for an expression of a rule, which is compiled once */
function regexOf(expression: string, cache: Known, effort: Effort | undefined): RE2JS | undefined {
  let known = cache.get(expression)
  if (known === undefined) {
    if (effort !== undefined) spend(effort, costOfCompiling(expression))
    known = { regex: tryCompile(expression) }
    cache.set(expression, known)
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

/** A glob that Go calls malformed: it is taken, and never matches anything. */
export function isDeadPattern(pattern: string): boolean {
  return expressionOf(pattern) === undefined && isMalformedGlob(pattern)
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

/** One request as seen by the patterns of one rule. */
export interface Subject {
  fields: Fields
  labels: Labels
  /** The rule's own patterns: `${account:1}` is a group of its `account` pattern. */
  rule: Partial<Record<Field, string | undefined>>
  /** Whether `**` of a glob crosses slashes. */
  deep: boolean
  /** What filling patterns may cost. */
  effort: Effort
}

/**
 * Whether the pattern, its placeholders filled, matches the text: `/re/` is an RE2 expression found anywhere in it, and
 * everything else a glob (`matchGlob`, or `matchDeepGlob` where `deep`) for the whole of it. An expression that is not
 * valid matches nothing. Which of the two it is shows when it is filled: a label `/^a/` is an expression.
 *
 * Fields are inserted as plain text, capture groups and labels as they are (a label `test/*` is a pattern on purpose).
 * Filling is one pass: what was inserted is not looked at again.
 *
 * @param withLabels `${labels:L}` stands for each value of the label in turn, every combination where there are several.
 * @throws RangeError when there are too many combinations.
 */
export function matches(pattern: string, text: string, subject: Subject, withLabels: boolean): boolean {
  if (!pattern.includes('${')) return matchesText(pattern, text, subject.deep, written, undefined)
  const template = templateOf(pattern, expressionOf(pattern) !== undefined)
  const parts = template.parts.map((part) => insertField(part, subject))
  const tries = (chosen: ReadonlyMap<string, string> | undefined, cache: Known) => {
    const filled = parts.map((part) => (typeof part === 'string' ? part : (chosen?.get(part.label) ?? part.written)))
    return filledMatches(filled.join(''), text, subject, cache)
  }
  if (tries(undefined, filledWithFields)) return true
  const names = withLabels ? template.labels.filter((name) => Object.hasOwn(subject.labels, name)) : []
  if (names.length === 0) return false
  for (const chosen of combinations(names, candidates(names, template, text, subject))) {
    if (tries(chosen, filledWithLabels)) return true
  }
  return false
}

function filledMatches(filled: string, text: string, { deep, effort }: Subject, cache: Known): boolean {
  spend(effort, costOfMatch(filled, text))
  return matchesText(filled, text, deep, cache, effort)
}

function matchesText(pattern: string, text: string, deep: boolean, cache: Known, effort: Effort | undefined): boolean {
  const expression = expressionOf(pattern)
  if (expression !== undefined) return regexOf(expression, cache, effort)?.test(text) ?? false
  return deep ? matchDeepGlob(pattern, text) : matchGlob(pattern, text)
}

/**
 * For each label the values that are worth trying. Those that the text would have to hold and does not are left out, which
 * is nearly all of them, unless a value beside them could change what they mean.
 */
function candidates(
  names: readonly string[],
  template: Template,
  text: string,
  subject: Subject,
): (readonly string[])[] {
  const { isExpression, certain } = template
  const all = names.map((name) => subject.labels[name] ?? [])
  const tame = (value: string) => isTame(value, isExpression)
  if (!text.isWellFormed() || !othersAreTame(template, subject)) return all
  if (names.length > 1 && !all.every((values) => values.every(tame))) return all
  const cost = costOfLook(text)
  return all.map((values, index) => {
    if (!certain.has(names[index] ?? '')) return values
    spend(subject.effort, cost * values.length)
    return values.filter((value) => !tame(value) || isFound(value, text, isExpression))
  })
}

function* combinations(
  names: readonly string[],
  sets: readonly (readonly string[])[],
): Generator<ReadonlyMap<string, string>> {
  const total = sets.reduce((product, set) => product * set.length, 1)
  for (let n = 0; n < total; n++) {
    const chosen = new Map<string, string>()
    let rest = n
    for (const [i, set] of sets.entries()) {
      chosen.set(names[i] ?? '', set[rest % set.length] ?? '')
      rest = Math.floor(rest / set.length)
    }
    yield chosen
  }
}

/** The part as it stands in the filled pattern; a label stays a label. */
function insertField(part: Part, subject: Subject): string | Label {
  if (typeof part === 'string' || 'label' in part) return part
  if (part.group === undefined) return quote(subject.fields[part.field])
  return capture(subject, part.field, part.group) ?? part.written
}

/** Whether nothing that fields and capture groups insert changes what stands around it. */
function othersAreTame({ parts, isExpression }: Template, subject: Subject): boolean {
  return parts.every((part) => {
    if (typeof part === 'string' || 'label' in part) return true
    const raw = part.group === undefined ? undefined : capture(subject, part.field, part.group)
    if (raw !== undefined) return isTame(raw, isExpression)
    return isExpression || keepsGlob(subject.fields[part.field])
  })
}

/** Group `group` (from 1) of the rule's own expression for that field, applied to the request; `''` if it took no part. */
function capture({ fields, rule }: Subject, field: Field, group: number): string | undefined {
  const expression = expressionOf(rule[field] ?? '')
  if (expression === undefined || group < 1) return undefined
  const regex = regexOf(expression, written, undefined)
  if (regex === undefined || group > regex.groupCount()) return undefined
  const matcher = regex.matcher(fields[field])
  return matcher.find() ? (matcher.group(group) ?? '') : undefined
}

/** Go's `regexp.QuoteMeta`; a glob takes the backslash, too. */
function quote(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
