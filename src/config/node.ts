/**
 * The raw configuration as a tree in which each value knows where it came from. Files, environment and flags all
 * become such trees, so that every later message can name the line or the variable.
 */
export type Source =
  | { kind: 'file'; file: string; line: number }
  | { kind: 'environment'; name: string }
  | { kind: 'flag'; name: string }
  | { kind: 'default' }

export type Node = MapNode | ListNode | ScalarNode

export interface MapNode {
  kind: 'map'
  at: Source
  /** `at` of an entry is the place of its key. */
  entries: Map<string, { at: Source; node: Node }>
}

export interface ListNode {
  kind: 'list'
  at: Source
  items: Node[]
}

export interface ScalarNode {
  kind: 'scalar'
  at: Source
  value: string | number | boolean | null
  /** The value as it was written: what a key of type text takes, so that `issuer: 123` and `realm: yes` stay themselves. */
  text: string
}

export type Path = readonly (string | number)[]

export const emptyMap = (at: Source): MapNode => ({ kind: 'map', at, entries: new Map() })

export function scalar(value: string | number | boolean | null, at: Source): ScalarNode {
  return { kind: 'scalar', at, value, text: value === null ? '' : String(value) }
}

export function isNull(node: Node | undefined): boolean {
  return node === undefined || (node.kind === 'scalar' && node.value === null)
}

/** `config.yml:12`, `REGISTRY_HTTP_ADDR`, `--addr`, `default`. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case 'file':
      return `${source.file}:${source.line}`
    case 'environment':
    case 'flag':
      return source.name
    case 'default':
      return 'default'
  }
}

/** `acl[2].match.name` */
export function describePath(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** The node at a path, or undefined; a key with a null value counts as there. */
export function nodeAt(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root
  for (const part of path) {
    if (node?.kind === 'map' && typeof part === 'string') node = node.entries.get(part)?.node
    else if (node?.kind === 'list' && typeof part === 'number') node = node.items[part]
    else return undefined
  }
  return node
}

/** True when the path leads to something that is not null. */
export function isGiven(root: Node, path: Path): boolean {
  return !isNull(nodeAt(root, path))
}

/** Where the path's key stands, or the nearest key above it that exists. */
export function sourceAt(root: Node, path: Path): Source {
  let node: Node = root
  let at = root.at
  for (const part of path) {
    if (node.kind === 'map' && typeof part === 'string') {
      const entry = node.entries.get(part)
      if (entry === undefined) return at
      at = entry.at
      node = entry.node
    } else if (node.kind === 'list' && typeof part === 'number') {
      const item = node.items[part]
      if (item === undefined) return at
      at = item.at
      node = item
    } else return at
  }
  return at
}

/** Puts a node at a path of map keys, making the maps on the way (in place of nulls and scalars). */
export function putAt(root: MapNode, path: readonly string[], node: Node): void {
  const last = path.at(-1)
  if (last === undefined) return
  let map = root
  for (const key of path.slice(0, -1)) {
    const next = map.entries.get(key)?.node
    if (next?.kind === 'map') map = next
    else {
      const made = emptyMap(node.at)
      map.entries.set(key, { at: node.at, node: made })
      map = made
    }
  }
  map.entries.set(last, { at: node.at, node })
}

/** A tree of plain JSON, all from one source. */
export function toNode(value: unknown, at: Source): Node {
  if (Array.isArray(value)) return { kind: 'list', at, items: value.map((item) => toNode(item, at)) }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, { at, node: toNode(item, at) }] as const)
    return { kind: 'map', at, entries: new Map(entries) }
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return scalar(value, at)
  return scalar(null, at)
}

/** The tree as plain values, for keys that take anything. Maps have no prototype. */
export function toPlain(node: Node): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(toPlain)
  const plain: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of node.entries) plain[key] = toPlain(entry.node)
  return plain
}

/** True when nothing is asked for: null, empty text, empty list, or a map of such. */
export function isIdle(node: Node): boolean {
  if (node.kind === 'scalar') return node.value === null || node.value === ''
  if (node.kind === 'list') return node.items.length === 0
  return [...node.entries.values()].every((entry) => isIdle(entry.node))
}
