import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'

/**
 * A small stand-in for `helm template`, which no Debian package brings: of Go's text/template and Helm's functions it knows what
 * the chart in deploy/helm uses, and refuses everything else. What it writes was compared with Go's own engine by hand.
 */

type Scope = Record<string, unknown>
type Node =
  | { text: string }
  | { pipeline: string }
  | { block: 'if' | 'with'; pipeline: string; then: Node[]; other: Node[] }

export interface Chart {
  name: string
  values: Scope
  schema: object
  /** The files of templates/ with what they become, for values that stand over the chart's own. @throws Error */
  render(values?: Scope): Record<string, string>
}

export function readChart(folder: string): Chart {
  const about = parse(readFileSync(join(folder, 'Chart.yaml'), 'utf8'))
  const own: Scope = parse(readFileSync(join(folder, 'values.yaml'), 'utf8'))
  const templates = join(folder, 'templates')
  const texts = Object.fromEntries(readdirSync(templates).map((n) => [n, readFileSync(join(templates, n), 'utf8')]))
  return {
    name: about.name,
    values: own,
    schema: JSON.parse(readFileSync(join(folder, 'values.schema.json'), 'utf8')),
    render(values = {}) {
      const scope = {
        Values: merged(own, values),
        Chart: { Name: about.name, Version: about.version, AppVersion: about.appVersion },
        Release: { Name: 'r', Namespace: 'registry', Service: 'Helm' },
      }
      const defined = new Map<string, Node[]>()
      const files = Object.entries(texts).map(([name, text]) => [name, parseTemplate(text, defined)] as const)
      const shown = files.filter(([name]) => !name.startsWith('_'))
      return Object.fromEntries(shown.map(([name, nodes]) => [name, execute(nodes, scope, defined)]))
    },
  }
}

/** As Helm: maps key by key, everything else replaced. */
export function merged(under: Scope, over: Scope): Scope {
  const result = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = result[key]
    result[key] = isMap(value) && isMap(below) ? merged(below, value) : value
  }
  return result
}

function isMap(value: unknown): value is Scope {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseTemplate(text: string, defined: Map<string, Node[]>): Node[] {
  const tokens = [...text.matchAll(/\{\{(-?)\s*([\s\S]*?)\s*(-?)\}\}|((?:(?!\{\{)[\s\S])+)/g)].map(
    ([, left, action, right, plain]) => ({ left: left === '-', right: right === '-', action, plain: plain ?? '' }),
  )
  tokens.forEach((token, index) => {
    if (token.action !== undefined) return
    if (tokens[index - 1]?.right) token.plain = token.plain.trimStart()
    if (tokens[index + 1]?.left) token.plain = token.plain.trimEnd()
  })
  let at = 0
  const nodes = (ends: readonly string[]): { list: Node[]; end: string } => {
    const list: Node[] = []
    while (at < tokens.length) {
      const { action, plain } = tokens[at++] ?? { plain: '' }
      if (action === undefined) list.push({ text: plain })
      else if (ends.includes(action)) return { list, end: action }
      else {
        const [, word = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(action) ?? []
        if (word === 'define') defined.set(JSON.parse(rest), nodes(['end']).list)
        else if (word === 'if' || word === 'with') {
          const { list: then, end } = nodes(['else', 'end'])
          list.push({ block: word, pipeline: rest, then, other: end === 'else' ? nodes(['end']).list : [] })
        } else list.push({ pipeline: action })
      }
    }
    if (ends.length > 0) throw new Error(`${ends.join(' or ')} is missing`)
    return { list, end: '' }
  }
  return nodes([]).list
}

function execute(nodes: readonly Node[], dot: unknown, defined: Map<string, Node[]>): string {
  return nodes
    .map((node) => {
      if ('text' in node) return node.text
      const value = evaluate(node.pipeline, dot, defined)
      if (!('block' in node)) return String(value ?? '')
      const chosen = isTrue(value) ? node.then : node.other
      return execute(chosen, node.block === 'with' && isTrue(value) ? value : dot, defined)
    })
    .join('')
}

/** Go: what is empty is false. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isMap(value) ? Object.keys(value).length > 0 : Boolean(value)
}

const WORD = /\s*(\(|\)|\||"(?:[^"\\]|\\.)*"|[^\s()|]+)/y

function evaluate(pipeline: string, dot: unknown, defined: Map<string, Node[]>): unknown {
  const words: string[] = []
  WORD.lastIndex = 0
  for (let match = WORD.exec(pipeline); match !== null; match = WORD.exec(pipeline)) words.push(match[1] ?? '')
  let at = 0
  const pipe = (): unknown => {
    let value: unknown
    for (let first = true; first || words[at] === '|'; first = false) {
      if (!first) at++
      const terms: unknown[] = []
      let name: string | undefined
      for (; at < words.length && words[at] !== '|' && words[at] !== ')'; at++) {
        const word = words[at] ?? ''
        if (terms.length === 0 && name === undefined && word in FUNCTIONS) name = word
        else if (word === '(') {
          at++
          terms.push(pipe())
        } else terms.push(operand(word, dot))
      }
      const given = first ? terms : [...terms, value]
      value = name === undefined ? given[0] : FUNCTIONS[name]?.(given, defined)
    }
    return value
  }
  return pipe()
}

function operand(word: string, dot: unknown): unknown {
  if (word.startsWith('"')) return JSON.parse(word)
  if (/^\d+$/.test(word)) return Number(word)
  if (!word.startsWith('.')) throw new Error(`${word} is not known here`)
  const path = word.split('.').filter((part) => part !== '')
  return path.reduce((value: unknown, key) => (isMap(value) ? value[key] : undefined), dot)
}

type Call = (terms: readonly unknown[], defined: Map<string, Node[]>) => unknown
const FUNCTIONS: Record<string, Call> = {
  include: ([name, dot], defined) => {
    const nodes = defined.get(String(name))
    if (nodes === undefined) throw new Error(`no template is called ${name}`)
    return execute(nodes, dot, defined)
  },
  default: ([instead, value]) => (isTrue(value) ? value : instead),
  not: ([value]) => !isTrue(value),
  quote: ([value]) => JSON.stringify(String(value ?? '')),
  printf: ([format, ...values]) => String(format).replaceAll('%s', () => String(values.shift())),
  toYaml: ([value]) => stringify(value, { sortMapEntries: true, indentSeq: false, lineWidth: 0 }).trimEnd(),
  nindent: ([count, text]) => `\n${String(text).replaceAll(/^/gm, ' '.repeat(Number(count)))}`,
}
