import { Document, isCollection, isPair, isScalar, Pair, type ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { z } from 'zod'
import { distributionSchema } from './distribution.ts'
import { statuses } from './distribution-status.ts'
import { describePath, describeSource, type MapNode, type Node, type Path, type Source } from './node.ts'
import { defaultOf, isSecret, shapeOf } from './schema.ts'

const MASK = '********'

/** Names of keys whose values are secrets wherever they stand, for parts that no schema describes. */
const SECRET_NAME =
  /pass(word|wd|phrase)?|secret|access_?key|account_?key|api[_-]?key|license_?key|credential|authorization|conn_?string|private|token_?hash|token$/i

/**
 * The effective raw configuration as YAML: each value with a comment that says where it came from (file and line,
 * variable, flag, `default`), secrets masked. Keys that are neither given nor have a default are left out.
 */
export function printEffective(root: MapNode): string {
  return documentOf(root).toString({ lineWidth: 0 })
}

/** One value of the configuration; `value` is a scalar, or an empty list or map. */
export interface EffectiveValue {
  /** `http.tls.key`, `acl[2].match.name` */
  key: string
  value: unknown
  /** `config.yml:12`, a variable, a flag, or `default`. */
  source: string
}

/** What `printEffective` prints, as a list. */
export function effectiveValues(root: MapNode): EffectiveValue[] {
  const values: EffectiveValue[] = []
  const visit = (node: unknown, path: Path): void => {
    if (isCollection(node) && node.items.length > 0) {
      for (const [index, item] of node.items.entries()) {
        if (isPair(item)) visit(item.value, [...path, String(isScalar(item.key) ? item.key.value : item.key)])
        else visit(item, [...path, index])
      }
    } else if (isScalar(node) || isCollection(node)) {
      const value = isScalar(node) ? node.value : node instanceof YAMLSeq ? [] : {}
      values.push({ key: describePath(path), value, source: (node.comment ?? '').trim() })
    }
  }
  visit(documentOf(root).contents, [])
  return values
}

function documentOf(root: MapNode): Document {
  const document = new Document()
  // The schema of YAML 1.1 quotes what the file's readers would take for a boolean.
  document.setSchema('1.1')
  document.contents = printMap(distributionSchema, root, '') as unknown as ParsedNode
  return document
}

function printMap(schema: z.ZodType, node: MapNode | undefined, path: string): YAMLMap {
  const shape = shapeOf(schema)
  const keys = shape.kind === 'map' ? shape.keys : {}
  const map = new YAMLMap()
  const add = (key: string, value: YAMLMap | YAMLSeq | Scalar): void => map.add(new Pair(new Scalar(key), value))
  for (const [key, child] of Object.entries(keys)) {
    const here = path === '' ? key : `${path}.${key}`
    const entry = node?.entries.get(key)
    if (entry !== undefined) {
      const isHidden = isSecret(child) || isSecretName(key, child)
      add(key, isHidden ? mask(entry.node) : printNode(child, entry.node, here))
      continue
    }
    // A key that is not carried out has no effective default.
    const value = statuses[here] === undefined ? printDefault(child, here) : undefined
    if (value !== undefined) add(key, value)
  }
  for (const [key, entry] of node?.entries ?? []) {
    if (Object.hasOwn(keys, key)) continue
    const child = shape.kind === 'record' ? shape.value : undefined
    const isHidden = isSecretName(key, child)
    add(key, isHidden ? mask(entry.node) : printNode(child, entry.node, `${path}.*`))
  }
  return map
}

function printNode(schema: z.ZodType | undefined, node: Node, path: string): YAMLMap | YAMLSeq | Scalar {
  const shape = schema === undefined ? undefined : shapeOf(schema)
  if (node.kind === 'map') {
    const map = printMap(schema ?? z.unknown(), node, path)
    return map.items.length > 0 ? map : commented(map, node.at)
  }
  if (node.kind === 'list') {
    const list = new YAMLSeq()
    const item = shape?.kind === 'list' ? shape.item : undefined
    for (const one of node.items) list.add(printNode(item, one, `${path}[]`))
    return node.items.length > 0 ? list : commented(list, node.at)
  }
  const value = shape?.kind === 'text' && node.value !== null ? node.text : node.value
  return commented(new Scalar(withoutPassword(value)), node.at)
}

/** What a key that is not given amounts to; undefined when that is nothing. */
function printDefault(schema: z.ZodType, path: string): YAMLMap | Scalar | undefined {
  const value = defaultOf(schema)
  if (shapeOf(schema).kind === 'map' && value !== undefined) {
    const map = printMap(schema, undefined, path)
    return map.items.length > 0 ? map : undefined
  }
  return value === undefined || typeof value === 'object'
    ? undefined
    : commented(new Scalar(value), { kind: 'default' })
}

function mask(node: Node): Scalar {
  const isEmpty = node.kind === 'scalar' && (node.value === null || node.value === '')
  return commented(new Scalar(isEmpty ? '' : MASK), node.at)
}

/** A section is no secret, whatever it is called (`auth.htpasswd`, a user called `secret`); what is in it may be. */
function isSecretName(key: string, schema: z.ZodType | undefined): boolean {
  // Where a secret is kept is none itself.
  if (/_file$/i.test(key)) return false
  const kind = schema === undefined ? 'anything' : shapeOf(schema).kind
  return SECRET_NAME.test(key) && kind !== 'map' && kind !== 'record'
}

/** The password of a URL (`https://user:password@host`) is masked in place, and so are secrets in its query (`?token=...`). */
function withoutPassword(value: string | number | boolean | null): string | number | boolean | null {
  if (typeof value !== 'string' || !/^[A-Za-z][\w+.-]*:\/\//.test(value)) return value
  return value
    .replace(/^([^/]*:\/\/[^/@:\s]*:)[^@\s]*@/, `$1${MASK}@`)
    .replace(/([?&])([^=&#\s]+)=[^&#\s]+/g, (whole, start: string, name: string) =>
      SECRET_NAME.test(name) || SECRET_PARAMETER.test(name) ? `${start}${name}=${MASK}` : whole,
    )
}

/** Besides `SECRET_NAME`: what only a query calls so. */
const SECRET_PARAMETER = /^(key|sig|signature|auth|code|pwd|token.*)$/i

function commented<T extends Scalar | YAMLMap | YAMLSeq>(node: T, at: Source): T {
  node.comment = ` ${describeSource(at)}`
  if (isCollection(node)) node.flow = true
  return node
}
