import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  type ScalarTag,
  type Tags,
} from 'yaml'
import { emptyMap, type MapNode, type Node, type Path, type Source, scalar } from './node.ts'

/** What reading one text gives: the tree (undefined when the text is no YAML), and what is wrong, each with its line. */
export interface YamlReading {
  root: Node | undefined
  errors: { at: Source; message: string }[]
  warnings: { at: Source; message: string }[]
  /** Keys written twice in one map; the last one counts, as in the originals' decoder. */
  duplicates: { at: Source; path: Path; message: string }[]
}

/** Nodes after aliases are followed; a few lines of nested aliases can ask for billions. */
const MAX_NODES = 200_000
const MAX_DEPTH = 64
const MAX_ERRORS = 10

/**
 * Reads YAML as yaml.v2 (the decoder of both foreign formats) does: YAML 1.1 booleans and octals, anchors and merge
 * keys, no base-60 numbers, no dates, only the first document.
 * @param place the source of a line (1-based) of this text
 */
export function readYaml(text: string, place: (line: number) => Source): YamlReading {
  const reading: YamlReading = { root: undefined, errors: [], warnings: [], duplicates: [] }
  const lines = new LineCounter()
  const at = (offset: number): Source => place(Math.max(1, lines.linePos(offset).line))
  const documents = parse(text, lines)
  if (documents instanceof Error) {
    reading.errors.push({ at: place(1), message: documents.message })
    return reading
  }
  const [first, second] = documents
  if (first === undefined) return { ...reading, root: scalar(null, place(1)) }
  // One mistake can make an error of every line after it.
  for (const { message, pos } of first.errors.slice(0, MAX_ERRORS)) {
    const { col } = lines.linePos(pos[0])
    reading.errors.push({ at: at(pos[0]), message: `not valid YAML: ${message} (column ${col})` })
  }
  for (const { message, pos } of first.warnings) reading.warnings.push({ at: at(pos[0]), message })
  // The originals read the first alone, and what stands in the second (an `auth`, say) would be passed over.
  if (second !== undefined && second.contents !== null) {
    reading.errors.push({
      at: at(second.range[0]),
      message: 'a second YAML document begins here; only one can be read',
    })
  }
  if (reading.errors.length > 0) return reading
  try {
    reading.root = first.contents === null ? scalar(null, place(1)) : build(first, at, reading)
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    reading.errors.push({ at: at(error.offset), message: error.message })
  }
  return reading
}

class Unreadable extends Error {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed[] | Error {
  try {
    const documents = parseAllDocuments(text, {
      version: '1.1',
      lineCounter,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      customTags: (tags) => tags.filter(isGoTag),
    })
    return Array.isArray(documents) ? documents : []
  } catch (error) {
    // The parser recurses: deep nesting ends in a RangeError.
    return new Error(`not valid YAML: ${error instanceof RangeError ? 'nested too deeply' : String(error)}`)
  }
}

/** Drops what yaml.v2 does not resolve: times of day (`12:30` is text, as in `addr: host:30`), dates, and special collections. */
function isGoTag(tag: Tags[number]): boolean {
  if (typeof tag === 'string')
    return !['timestamp', 'intTime', 'floatTime', 'omap', 'pairs', 'set', 'binary'].includes(tag)
  return (tag as ScalarTag).format !== 'TIME' && !/:(timestamp|omap|pairs|set|binary)$/.test(tag.tag)
}

function build(document: Document.Parsed, at: (offset: number) => Source, reading: YamlReading): Node {
  let count = 0
  const anchors = new Map<string, ParsedNode>()
  /** Where the alias stands that is being followed, outermost; that is the line to blame. */
  let following: number | undefined

  function visit(node: ParsedNode | null, from: number, path: Path, depth: number): Node {
    const start = node?.range[0] ?? from
    count += 1
    const blamed = following ?? start
    if (count > MAX_NODES) throw new Unreadable(`more than ${MAX_NODES} values, aliases followed`, blamed)
    if (depth > MAX_DEPTH) throw new Unreadable(`nested more than ${MAX_DEPTH} levels deep`, blamed)
    if (node === null) return scalar(null, at(from))
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target === undefined) throw new Unreadable(`*${node.source} names no anchor`, start)
      const outer = following
      following ??= start
      const followed = visit(target, start, path, depth + 1)
      following = outer
      return followed
    }
    if (node.anchor !== undefined && following === undefined) anchors.set(node.anchor, node)
    if (isSeq(node)) {
      const items = node.items.map((item, index) => visit(item as ParsedNode, start, [...path, index], depth + 1))
      return { kind: 'list', at: at(start), items }
    }
    if (isMap(node)) return visitMap(node, start, path, depth + 1)
    const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
    // The library takes `e0` for a number of no value.
    const value = Number.isNaN(node.value) && !/^\.nan$/i.test(text) ? text : node.value
    if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') {
      return { kind: 'scalar', at: at(start), value, text: value === null ? '' : text }
    }
    return { kind: 'scalar', at: at(start), value: text, text }
  }

  function visitMap(node: ParsedNode & { items: unknown[] }, start: number, path: Path, depth: number): MapNode {
    const map = emptyMap(at(start))
    const merged: MapNode[] = []
    if (!isMap(node)) return map
    for (const pair of node.items) {
      const key = pair.key as ParsedNode
      const value = pair.value as ParsedNode | null
      const offset = key?.range[0] ?? start
      if (isScalar(key) && key.source === '<<' && key.type === 'PLAIN') {
        merged.push(...mergeSources(visit(value, offset, path, depth), offset))
        continue
      }
      if (!isScalar(key)) throw new Unreadable('a key that is a list or a map', offset)
      const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value ?? ''))
      // JavaScript's objects give this name a meaning of its own, and no key of any format has it.
      if (name === '__proto__') throw new Unreadable('__proto__ cannot be used as a key', offset)
      const earlier = map.entries.get(name)
      if (earlier !== undefined) {
        const message = `stands twice in the same map${lineOf(earlier.at)}; the last one counts`
        reading.duplicates.push({ at: at(offset), path: [...path, name], message })
      }
      map.entries.delete(name)
      map.entries.set(name, { at: at(offset), node: visit(value, offset, [...path, name], depth) })
    }
    // Keys of the map itself beat merged ones, and of several merged maps the first beats the others (YAML 1.1, merge key).
    for (const source of merged) {
      for (const [name, entry] of source.entries) if (!map.entries.has(name)) map.entries.set(name, entry)
    }
    return map
  }

  return visit(document.contents as ParsedNode, 0, [], 0)
}

function mergeSources(node: Node, offset: number): MapNode[] {
  if (node.kind === 'map') return [node]
  if (node.kind === 'list') return node.items.flatMap((item) => mergeSources(item, offset))
  throw new Unreadable('<< merges a map or a list of maps', offset)
}

function lineOf(source: Source): string {
  return source.kind === 'file' ? ` (first on line ${source.line})` : ''
}
