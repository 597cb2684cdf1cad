import { LRUCache } from 'lru-cache'

/** The fields of a request that a rule can match and insert. */
export interface Fields {
  account: string
  type: string
  name: string
  service: string
}

export type Field = keyof Fields

/** A piece of a pattern: text as it stands, a field (or a group of the rule's own pattern for it), or a label. */
export type Part = string | { field: Field; group: number | undefined; written: string } | Label

export interface Label {
  label: string
  /** `${labels:L}`, which stays where the user has no such label. */
  written: string
}

/** A pattern of a rule, taken apart. */
export interface Template {
  parts: readonly Part[]
  /** Whether it stands between slashes. */
  isExpression: boolean
  /** The labels that it names, each once. */
  labels: readonly string[]
  /**
   * The labels without whose value the pattern cannot match: what is inserted for them has to be found in the text, so
   * long as nothing that is inserted changes the meaning of what stands around it (`isTame`).
   */
  certain: ReadonlySet<string>
}

const PLACEHOLDER = /\$\{(account|type|name|service)(?::(\d+))?\}|\$\{labels:([^{}]+)\}/g

/** Patterns with placeholders come from rules alone, so they are few. */
const known = new LRUCache<string, Template>({ max: 2_000 })

export function templateOf(pattern: string, isExpression: boolean): Template {
  let template = known.get(pattern)
  if (template === undefined) {
    template = parse(pattern, isExpression)
    known.set(pattern, template)
  }
  return template
}

function parse(pattern: string, isExpression: boolean): Template {
  const parts: Part[] = []
  let end = 0
  for (const match of pattern.matchAll(PLACEHOLDER)) {
    const [written, field, group, label] = match
    if (match.index > end) parts.push(pattern.slice(end, match.index))
    if (label !== undefined) parts.push({ label, written })
    else parts.push({ field: field as Field, group: group === undefined ? undefined : Number(group), written })
    end = match.index + written.length
  }
  if (end < pattern.length) parts.push(pattern.slice(end))
  const labels = [...new Set(parts.flatMap((part) => (typeof part === 'object' && 'label' in part ? part.label : [])))]
  // A label that the user lacks stays in the pattern as it is written, so its name must mean nothing there.
  const plain = labels.every((label) => /^[\w-]+$/.test(label)) && !pattern.includes(HOLE)
  const certain = !plain ? [] : isExpression ? certainOfExpression(parts) : certainOfGlob(parts, labels)
  return { parts, isExpression, labels, certain: new Set(certain) }
}

/** Outside of a class each literal of a glob has to be found in the text. */
function certainOfGlob(parts: readonly Part[], labels: readonly string[]): readonly string[] {
  return parts.some((part) => typeof part === 'string' && part.includes('[')) ? [] : labels
}

/** Stands for a placeholder while an expression is read. */
const HOLE = '\0'
const REPEATS = '*+?{'

/** What has to be found: neither optional nor one of several alternatives. What is not understood counts as neither. */
function certainOfExpression(parts: readonly Part[]): readonly string[] {
  const text = parts.map((part) => (typeof part === 'string' ? part : HOLE)).join('')
  const holes = parts.filter((part) => typeof part === 'object')
  const groups: { found: string[]; alternatives: boolean }[] = [{ found: [], alternatives: false }]
  // The slashes around the expression are not part of it.
  for (let at = 1; at < text.length - 1; ) {
    const here = groups.at(-1)
    if (here === undefined) return []
    const next = text[at + 1] ?? ''
    switch (text[at]) {
      case HOLE: {
        const hole = holes.shift()
        // What was inserted may be empty, and the repetition then that of what stands before it.
        if (REPEATS.includes(next)) return []
        if (hole !== undefined && 'label' in hole) here.found.push(hole.label)
        at++
        break
      }
      case '\\':
        if (!/[^A-Za-z0-9\0]|[dDwWsSbBAz]/.test(next)) return []
        at += 2
        break
      case '[': {
        const end = endOfClass(text, at)
        if (end === undefined) return []
        at = end
        break
      }
      case '{': {
        const repeat = /^\{\d+(,\d*)?\}/.exec(text.slice(at, at + 16))
        if (repeat === null) return []
        at += repeat[0].length
        break
      }
      case '(':
        if (next === '?' && text[at + 2] !== ':') return []
        groups.push({ found: [], alternatives: false })
        at += next === '?' ? 3 : 1
        break
      case ')':
        groups.pop()
        if (!here.alternatives && !REPEATS.includes(next)) groups.at(-1)?.found.push(...here.found)
        at++
        break
      case '|':
        here.alternatives = true
        at++
        break
      default:
        at++
    }
  }
  const [whole, ...open] = groups
  return whole === undefined || open.length > 0 || whole.alternatives ? [] : whole.found
}

/** The place behind a character class; undefined for one that holds a placeholder or another class. */
function endOfClass(text: string, start: number): number | undefined {
  let at = start + 1
  if (text[at] === '^') at++
  for (let first = true; ; first = false) {
    const c = text[at]
    if (c === undefined || c === HOLE || c === '[') return undefined
    if (c === ']' && !first) return at + 1
    if (c === '\\' && text[at + 1] === HOLE) return undefined
    at += c === '\\' ? 2 : 1
  }
}

/**
 * Whether a text means only itself and wildcards when it is inserted into a pattern, so that whatever matches holds each
 * of its pieces (`isFound`).
 */
export function isTame(value: string, isExpression: boolean): boolean {
  // Half a surrogate pair is another character once it is UTF-8.
  if (!value.isWellFormed()) return false
  if (isExpression) return !/[\\+*?()|[\]{}^$]/.test(value)
  return keepsGlob(value) && !/[[\\]/.test(value)
}

/** A slash that ends up at both ends of a filled glob makes an expression of it, and so may one beside an empty text. */
export function keepsGlob(value: string): boolean {
  return value !== '' && !value.startsWith('/') && !value.endsWith('/')
}

/** Whether a text holds all that a tame value asks for. */
export function isFound(value: string, text: string, isExpression: boolean): boolean {
  if (text.includes(value)) return true
  const pieces = value.split(isExpression ? /\./ : /[*?]+/)
  // Elements `**` of a glob take the slash beside them with them.
  return pieces.every((piece) => text.includes(isExpression ? piece : trimSlashes(piece)))
}

function trimSlashes(piece: string): string {
  let start = 0
  let end = piece.length
  while (piece[start] === '/') start++
  while (end > start && piece[end - 1] === '/') end--
  return piece.slice(start, end)
}
