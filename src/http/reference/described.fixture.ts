import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { describeApi } from '../api/routes.ts'
import { parseTarget } from '../routes.ts'
import { type OpenApiDocument, wholeDocument } from './document.ts'

/** An answer as a test has it; `header` of a name in lower case. */
export interface SeenAnswer {
  status: number
  header: (name: string) => string | undefined
  text: string
}

interface SeenOperation {
  responses: Record<
    string,
    { headers?: Record<string, { required?: boolean; schema: { pattern?: string } }>; content?: object }
  >
}

/** Everything that Berth answers, as it is described. */
export const DOCUMENT: OpenApiDocument = wholeDocument(describeApi())

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(closed(DOCUMENT), 'berth')
const validators = new Map<string, ValidateFunction>()

/** The described path that an asked one is of, without its query; undefined: none is. */
export function describedPath(path: string): string | undefined {
  const asked = decodeSafely(path)
  const target = parseTarget(asked)
  if (target !== undefined) return ofRegistry.get(target.resource)
  return patterns.find(({ pattern }) => pattern.test(path))?.path
}

/** What is said before anybody looks where a request goes (also behind another `http.prefix`). */
const BEFORE = /^(404 page not found|Bad Request: the Host header is missing or malformed)\n$/

/** What an answer has that its description has not, or the reverse; undefined: it is as described. */
export function undescribed(method: string, path: string, answer: SeenAnswer): string | undefined {
  const place = describedPath(path)
  const operation = place === undefined ? undefined : DOCUMENT.paths[place]?.[method.toLowerCase()]
  // A path or a method that nobody has is refused the same everywhere.
  if (place === undefined || operation === undefined) return undefined
  const [type = ''] = (answer.header('content-type') ?? '').split(';', 1)
  const isBefore = method === 'HEAD' ? answer.status === 404 && type === 'text/plain' : BEFORE.test(answer.text)
  if (answer.status === 431 || isBefore) return undefined
  const { responses } = operation as SeenOperation
  const key = String(answer.status) in responses ? String(answer.status) : 'default'
  const response = responses[key]
  const what = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`
  if (response === undefined) return `${what}: src/http/reference does not name this status`
  for (const [name, { required, schema }] of Object.entries(response.headers ?? {})) {
    const value = answer.header(name.toLowerCase())
    if (value === undefined && required) return `${what}: without ${name}`
    if (value !== undefined && schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
      return `${what}: ${name}: ${value}`
  }
  if (method === 'HEAD') return undefined
  const { content = {} } = response
  if (Object.keys(content).length === 0)
    return answer.text === '' ? undefined : `${what}: nobody said that it has a body`
  if (!(type in content)) {
    return answer.text === '' ? undefined : `${what}: ${type} is none of ${Object.keys(content).join(', ')}`
  }
  if (!/json$/.test(type)) return undefined
  const steps = ['paths', place, method.toLowerCase(), 'responses', key, 'content', type, 'schema']
  const pointer = steps.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `berth#/${pointer}` })
  validators.set(pointer, validate)
  const json: unknown = JSON.parse(answer.text)
  return validate(json) ? undefined : `${what}: ${ajv.errorsText(validate.errors)}`
}

const samples = { name: 'a/b', reference: 'v1', digest: `sha256:${'0'.repeat(64)}`, upload: 'x' } as const

/** A path that one of the document is made of. */
export function sampleOf(path: string): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) =>
    name in samples ? samples[name as keyof typeof samples] : 'x',
  )
}

const ofRegistry = new Map(
  Object.keys(DOCUMENT.paths).flatMap((path) => {
    const target = parseTarget(sampleOf(path))
    return target === undefined ? [] : [[target.resource, path] as const]
  }),
)
/** Those with fewer parameters first: `/verify/runs/latest` is no `/verify/runs/{id}`. */
const patterns = Object.keys(DOCUMENT.paths)
  .filter((path) => !path.startsWith('/v2/'))
  .sort((a, b) => a.split('{').length - b.split('{').length)
  .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`) }))

function decodeSafely(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * The document with all objects closed: a key of an answer that nobody described is a mistake. Those that are parts of others
 * (`allOf`) stay open, for each has only its share of the keys.
 */
function closed(document: OpenApiDocument): OpenApiDocument {
  const text = JSON.stringify(document)
  const parts = new Set(
    [...text.matchAll(/"allOf":\[\{"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name),
  )
  const close = (value: unknown, key: string, isOpen: boolean): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const open = isOpen || parts.has(key)
    if (Array.isArray(value)) return value.map((one) => close(one, '', open))
    const entries = Object.entries(value).map(([name, inner]) => [name, close(inner, name, name === 'allOf')])
    const copy = Object.fromEntries(entries) as Record<string, unknown>
    return !open && 'properties' in copy && 'type' in copy ? { additionalProperties: false, ...copy } : copy
  }
  return close(document, '', false) as OpenApiDocument
}
