import { UpstreamError } from '../../upstream/error.ts'

/** A template as far as we know Go's: text, and what stands in {{ }}. */
export type Template = readonly Part[]

type Part =
  | { kind: 'text'; text: string }
  | { kind: 'value' | 'json' | 'println'; path: Path }
  | { kind: 'range'; path: Path; body: Part[] }

/** Names of fields, from the value at hand on; none: that value itself. */
type Path = readonly string[]

const SUPPORTED = 'supported are {{.Field}}, {{.Field.Field}}, {{json .}}, {{println .}} and {{range .List}}…{{end}}'
const PATH = /^\.(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?$/

/** `\n` and `\t` mean what they do to docker. @throws UpstreamError `usage` for what is not supported */
export function parseTemplate(text: string): Template {
  const root: Part[] = []
  const open: Part[][] = [root]
  let at = 0
  for (const match of text.matchAll(/\{\{(.*?)\}\}/gs)) {
    addText(open, text.slice(at, match.index))
    at = match.index + match[0].length
    addAction(open, (match[1] ?? '').trim())
  }
  addText(open, text.slice(at))
  if (open.length > 1) throw wrong('a {{range}} has no {{end}}')
  return root
}

function addText(open: Part[][], text: string): void {
  if (text.includes('{{')) throw wrong('a {{ has no }}')
  if (text !== '') open.at(-1)?.push({ kind: 'text', text: text.replace(/\\n/g, '\n').replace(/\\t/g, '\t') })
}

function addAction(open: Part[][], action: string): void {
  if (action === 'end') {
    if (open.length === 1) throw wrong('an {{end}} has no {{range}}')
    open.pop()
    return
  }
  const [, word = '', operand = ''] = /^(?:(json|println|range)\s+)?(\S+)$/.exec(action) ?? []
  if (!PATH.test(operand)) throw wrong(`{{${action}}} is not supported`)
  const path = operand.split('.').filter((name) => name !== '')
  if (word === 'range') {
    const body: Part[] = []
    open.at(-1)?.push({ kind: 'range', path, body })
    open.push(body)
  } else open.at(-1)?.push({ kind: word === '' ? 'value' : (word as 'json' | 'println'), path })
}

/** Whether the template itself (not what it repeats) names this field. */
export function namesField(template: Template, field: string): boolean {
  return template.some((part) => part.kind !== 'text' && part.path[0]?.toLowerCase() === field.toLowerCase())
}

/** Fields are found whatever their capitals. @throws UpstreamError `usage` for a field that is not there */
export function renderTemplate(template: Template, value: unknown): string {
  return template
    .map((part) => {
      if (part.kind === 'text') return part.text
      const found = fieldOf(value, part.path)
      if (part.kind === 'json') return JSON.stringify(found)
      if (part.kind === 'value') return textOf(found)
      if (part.kind !== 'range') return `${textOf(found)}\n`
      const items = Array.isArray(found) ? found : itemsOf(found, part.path)
      return items.map((item) => renderTemplate(part.body, item)).join('')
    })
    .join('')
}

function fieldOf(value: unknown, path: Path): unknown {
  let found = value
  for (const name of path) {
    const fields = typeof found === 'object' && found !== null && !Array.isArray(found) ? Object.keys(found) : []
    const field = fields.find((one) => one === name) ?? fields.find((one) => one.toLowerCase() === name.toLowerCase())
    if (field === undefined) {
      throw wrong(
        `there is no field ${name}`,
        fields.length === 0 ? 'there are no fields here: write {{.}}' : `the fields here are ${fields.join(', ')}`,
      )
    }
    found = (found as Record<string, unknown>)[field]
  }
  return found
}

function itemsOf(value: unknown, path: Path): unknown[] {
  if (value === null || value === undefined) return []
  if (typeof value === 'object') return Object.values(value)
  throw wrong(`{{range .${path.join('.')}}} needs a list`)
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function wrong(reason: string, hint = SUPPORTED): UpstreamError {
  return new UpstreamError('usage', `--format: ${reason}`, { hint })
}
