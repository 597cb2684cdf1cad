import type { z } from 'zod'
import { isIdle, isNull, type MapNode, type Node, type Path, toPlain } from './node.ts'
import type { Places } from './places.ts'
import { isNullable, type Shape, shapeOf } from './schema.ts'
import type { KeyStatus, Statuses } from './status.ts'
import { describeUnknownKey, isUnknownKeyRefused, type UnknownKeyRule } from './unknown-key.ts'

/**
 * Reads a tree by a schema: reports unknown keys, keys that are not carried out, and wrong types, all of them, and
 * returns the schema's output for the rest, so that what depends on several keys can still be checked. Undefined only
 * when nothing is left to read by.
 */
export function checkTree<S extends z.ZodType>(
  schema: S,
  statuses: Statuses,
  places: Places,
  rule: UnknownKeyRule,
): z.output<S> | undefined {
  const plain = read(schema, places.root, [], { statuses, places, rule })
  // A key that the schema refuses is reported and taken out; what remains is read again.
  for (let round = 0; round < 3; round++) {
    // Compiling the schema would cost more than reading one tree by it.
    const result = schema.safeParse(plain, { jitless: true })
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
      places.problem(path, describeIssue(issue))
      remove(plain, path)
    }
  }
  return undefined
}

interface Reading {
  statuses: Statuses
  places: Places
  rule: UnknownKeyRule
}

function read(schema: z.ZodType, node: Node, path: Path, reading: Reading): unknown {
  const status = reading.statuses[patternOf(path)]
  if (status !== undefined) {
    if (!(status.idle ?? isIdle)(node)) reportStatus(status, path, reading.places)
    // What is refused is not looked into; below what is only ignored, a misspelt key still deserves its warning.
    if (status.effect === 'ignored') readShape(schema, node, path, reading)
    return undefined
  }
  return readShape(schema, node, path, reading)
}

function readShape(schema: z.ZodType, node: Node, path: Path, reading: Reading): unknown {
  const shape = shapeOf(schema)
  if (isNull(node)) return isNullable(schema) ? null : undefined
  switch (shape.kind) {
    case 'map':
      return node.kind === 'map' ? readMap(shape.keys, node, path, reading) : wrongType(shape, node, path, reading)
    case 'record': {
      if (node.kind !== 'map') return wrongType(shape, node, path, reading)
      const plain: Record<string, unknown> = Object.create(null)
      for (const [key, entry] of node.entries) {
        const value = read(shape.value, entry.node, [...path, key], reading)
        plain[key] = value === undefined ? emptyOf(shapeOf(shape.value)) : value
      }
      return plain
    }
    case 'list': {
      if (node.kind !== 'list') return wrongType(shape, node, path, reading)
      const empty = emptyOf(shapeOf(shape.item))
      return node.items.map((item, index) => read(shape.item, item, [...path, index], reading) ?? empty)
    }
    case 'text': {
      if (node.kind !== 'scalar') return wrongType(shape, node, path, reading)
      // To the originals an empty word is the same as none.
      return node.text === '' && shape.choices !== undefined ? undefined : node.text
    }
    case 'integer':
      return typeof toPlain(node) === 'number' ? toPlain(node) : wrongType(shape, node, path, reading)
    case 'boolean':
      return typeof toPlain(node) === 'boolean' ? toPlain(node) : wrongType(shape, node, path, reading)
    case 'anything':
      return toPlain(node)
  }
}

function readMap(
  keys: Record<string, z.ZodType>,
  node: MapNode,
  path: Path,
  reading: Reading,
): Record<string, unknown> {
  const plain: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of node.entries) {
    const known = Object.hasOwn(keys, key) ? keys[key] : undefined
    const here = [...path, key]
    if (known !== undefined) plain[key] = read(known, entry.node, here, reading)
    else {
      const { message, fix } = describeUnknownKey(here, Object.keys(keys))
      if (isUnknownKeyRefused(reading.rule, here, entry.at)) reading.places.problem(here, message, fix)
      else reading.places.warn(here, `${message}; it is ignored`, fix)
    }
  }
  return plain
}

function reportStatus(status: KeyStatus, path: Path, places: Places): void {
  if (status.effect === 'refused')
    places.problem(path, 'Berth knows this key but does not do what it asks yet', status.because)
  else places.warn(path, 'this key has no effect in Berth', status.because)
}

const WANTED: Record<Shape['kind'], string> = {
  map: 'a map of keys',
  record: 'a map of names',
  list: 'a list',
  text: 'a text',
  integer: 'a whole number',
  boolean: 'true or false',
  anything: 'a value',
}

function wrongType(shape: Shape, node: Node, path: Path, reading: Reading): undefined {
  const is =
    node.kind === 'scalar' ? (typeof node.value === 'string' ? 'a text' : `a ${typeof node.value}`) : `a ${node.kind}`
  const fix =
    shape.kind === 'list' && node.kind === 'scalar'
      ? 'Put the value in brackets: [...].'
      : shape.kind === 'boolean' && node.kind === 'scalar' && /^(true|false|yes|no|on|off)$/i.test(node.text)
        ? `Write ${node.text} without quotes.`
        : undefined
  reading.places.problem(path, `must be ${WANTED[shape.kind]}, not ${is}`, fix)
  return undefined
}

/** What Go's decoder makes of a null in a list or a map. */
function emptyOf(shape: Shape): unknown {
  if (shape.kind === 'text') return ''
  if (shape.kind === 'list') return []
  return shape.kind === 'map' || shape.kind === 'record' ? {} : null
}

function patternOf(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? '[]' : part))
    .join('.')
    .replaceAll('.[]', '[]')
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`
  if (issue.code === 'invalid_type' && issue.expected === 'int') return 'must be a whole number'
  return issue.message
}

function remove(plain: unknown, path: Path): void {
  let value = plain
  for (const part of path.slice(0, -1)) {
    if (typeof value !== 'object' || value === null) return
    value = (value as Record<string | number, unknown>)[part]
  }
  const last = path.at(-1)
  if (last === undefined || typeof value !== 'object' || value === null) return
  // An element of a list keeps its place, so that later problems still name the right line.
  if (Array.isArray(value)) value[Number(last)] = undefined
  else delete (value as Record<string, unknown>)[last]
}
