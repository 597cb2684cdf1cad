import type { z } from 'zod'
import { embeddedNames, goFieldNames } from './distribution.ts'
import { emptyMap, isNull, type ListNode, type MapNode, type Node, type Path, type Source, scalar } from './node.ts'
import type { Findings, Problem } from './problem.ts'
import { shapeOf } from './schema.ts'
import { describeUnknownKey, isDecisive, isUnknownKeyRefused, type UnknownKeyRule } from './unknown-key.ts'
import { readYaml } from './yaml-document.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The variable that names the file, in place of an argument. */
export const FILE_VARIABLE = 'REGISTRY_CONFIGURATION_PATH'

const PREFIX = 'REGISTRY_'

/**
 * Lays every REGISTRY_* variable over the tree by distribution's rule: sorted by name, split at `_`, each value read as
 * YAML of the type that its key has; `REGISTRY_STORAGE=filesystem` replaces the whole map. Beyond the original, maps and
 * lists of the file can be overridden at any depth, and both the YAML key and Go's field name reach a key.
 * @returns the names of the variables that reached a key
 */
export function applyEnvironment(
  root: MapNode,
  schema: z.ZodType,
  environment: Environment,
  rule: UnknownKeyRule,
  findings: Findings,
): string[] {
  const applied: string[] = []
  const injected: string[] = []
  for (const name of Object.keys(environment).sort()) {
    const value = environment[name]
    if (!name.startsWith(PREFIX) || name === FILE_VARIABLE || value === undefined) continue
    const at: Source = { kind: 'environment', name }
    const placed = place(schema, root, name.slice(PREFIX.length).split('_'), [], { at, value })
    if ('node' in placed) {
      for (const message of placed.faults) findings.problem({ where: name, path: '', message })
      applied.push(name)
    } else if (isInjected(name, value)) injected.push(name)
    else if (placed.unknown === undefined) findings.problem({ where: name, path: '', message: placed.message })
    else {
      const refused = isUnknownKeyRefused(rule, placed.unknown, at)
      const message = refused ? placed.message : `${placed.message}; the variable is ignored`
      const problem: Problem = {
        where: name,
        path: '',
        message,
        ...(placed.fix === undefined ? {} : { fix: placed.fix }),
      }
      if (refused) findings.problem(problem)
      else findings.warn(problem)
    }
  }
  if (injected.length > 0) {
    const message = `${injected.length === 1 ? 'is' : `and ${injected.length - 1} more are`} what Kubernetes injects for a service called registry; ignored`
    findings.warn({
      where: injected[0] ?? '',
      path: '',
      message,
      fix: 'Set enableServiceLinks: false in the pod to be rid of it.',
    })
  }
  return applied
}

/** Kubernetes gives each pod the addresses of the services around it: a service `registry` looks like our variables. */
function isInjected(name: string, value: string): boolean {
  return (
    /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(name) ||
    (/_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value))
  )
}

interface Variable {
  at: Source
  value: string
}

type Placed =
  | { node: Node; faults: string[] }
  | { message: string; fix?: string /** Set when no key is called so. */; unknown?: Path }

function place(
  schema: z.ZodType,
  current: Node | undefined,
  elements: string[],
  path: Path,
  variable: Variable,
): Placed {
  if (elements.length === 0) return parseValue(schema, path, variable)
  const shape = shapeOf(schema)
  const [first = ''] = elements
  switch (shape.kind) {
    case 'map':
      return placeInMap(shape.keys, current, elements, path, variable)
    case 'record': {
      const map = current?.kind === 'map' ? current : emptyMap(variable.at)
      for (let count = elements.length; count > 0; count--) {
        const wanted = elements.slice(0, count).join('_').toUpperCase()
        const existing = [...map.entries.keys()].find((key) => key.toUpperCase() === wanted)
        if (existing !== undefined) return put(map, existing, shape.value, elements.slice(count), path, variable)
      }
      return put(map, first.toLowerCase(), shape.value, elements.slice(1), path, variable)
    }
    case 'list': {
      const list: ListNode = current?.kind === 'list' ? current : { kind: 'list', at: variable.at, items: [] }
      if (!/^\d{1,6}$/.test(first))
        return { message: `non-numeric index ${JSON.stringify(first)} of the list ${path.join('.')}` }
      const index = Number(first)
      if (index > list.items.length) {
        return { message: `undefined index ${index}: ${path.join('.')} has ${list.items.length} elements` }
      }
      const placed = place(shape.item, list.items[index], elements.slice(1), [...path, index], variable)
      if ('node' in placed) {
        list.items[index] = placed.node
        return { node: list, faults: placed.faults }
      }
      return placed
    }
    case 'anything':
      return placeAnywhere(schema, current, elements, path, variable)
    default:
      return {
        message: `${path.join('.')} is a single value and has no key ${elements.join('_')}`,
        unknown: [...path, ...elements],
      }
  }
}

function placeInMap(
  keys: Record<string, z.ZodType>,
  current: Node | undefined,
  elements: string[],
  path: Path,
  variable: Variable,
): Placed {
  const map = current?.kind === 'map' ? current : emptyMap(variable.at)
  const prefix = pattern(path)
  if (elements.length > 1 && elements[0]?.toUpperCase() === embeddedNames[prefix]) {
    return placeInMap(keys, current, elements.slice(1), path, variable)
  }
  // The longest key wins: keys of the token server contain the separator.
  for (let count = elements.length; count > 0; count--) {
    const wanted = elements.slice(0, count).join('_').toUpperCase()
    const key = Object.keys(keys).find((one) => {
      const goName = goFieldNames[prefix === '' ? one : `${prefix}.${one}`]
      return one.toUpperCase() === wanted || goName === wanted
    })
    const schema = key === undefined ? undefined : keys[key]
    if (key !== undefined && schema !== undefined) return put(map, key, schema, elements.slice(count), path, variable)
  }
  const unknown = [...path, unknownName(elements, path).toLowerCase()]
  const { message, fix } = describeUnknownKey(unknown, Object.keys(keys))
  return { message: `${unknown.join('.')} ${message}`, unknown, ...(fix === undefined ? {} : { fix }) }
}

/** `TOKEN_SERVER_…` is a misspelt `tokenserver`, and no key `token`. */
function unknownName(elements: readonly string[], path: Path): string {
  const [first = '', second] = elements
  const two = second === undefined ? first : `${first}_${second}`
  return path.length === 0 && isDecisive(two.toLowerCase()) ? two : first
}

/** Below a key whose value is not looked at: numbers index an existing list, anything else names keys in lower case. */
function placeAnywhere(
  schema: z.ZodType,
  current: Node | undefined,
  elements: string[],
  path: Path,
  variable: Variable,
): Placed {
  const [first = '', ...rest] = elements
  if (current?.kind === 'list' && /^\d{1,6}$/.test(first) && Number(first) <= current.items.length) {
    const placed = place(schema, current.items[Number(first)], rest, [...path, Number(first)], variable)
    if (!('node' in placed)) return placed
    current.items[Number(first)] = placed.node
    return { node: current, faults: placed.faults }
  }
  const map = current?.kind === 'map' ? current : emptyMap(variable.at)
  const existing = [...map.entries.keys()].find((key) => key.toUpperCase() === first.toUpperCase())
  return put(map, existing ?? first.toLowerCase(), schema, rest, path, variable)
}

function put(map: MapNode, key: string, schema: z.ZodType, rest: string[], path: Path, variable: Variable): Placed {
  if (key === '__proto__') return { message: '__proto__ cannot be used as a key' }
  const entry = map.entries.get(key)
  const placed = place(schema, entry?.node, rest, [...path, key], variable)
  if (!('node' in placed)) return placed
  // A map that the file has keeps its line; only what the variable sets is the variable's.
  const keepsPlace = entry !== undefined && rest.length > 0 && !isNull(entry.node)
  map.entries.set(key, { at: keepsPlace ? entry.at : variable.at, node: placed.node })
  return { node: map, faults: placed.faults }
}

function parseValue(schema: z.ZodType, path: Path, { at, value }: Variable): Placed {
  const shape = shapeOf(schema)
  const reading = readYaml(value, () => at)
  const faults = [...reading.errors, ...reading.duplicates].map((one) => one.message)
  const node = reading.root
  if (shape.kind === 'text') {
    // A text that YAML would read as something else (a tag, an anchor, `a: b`) is taken as it stands.
    const plain = node?.kind === 'scalar' && reading.warnings.length === 0 && !/^[&!]/.test(value.trim())
    return { node: plain ? node : scalar(value, at), faults: [] }
  }
  if (path.length === 1 && (path[0] === 'auth' || path[0] === 'storage')) {
    if (isNull(node) && faults.length === 0) {
      const fix =
        path[0] === 'auth' ? 'For a registry that is open to everyone, say REGISTRY_AUTH=none.' : 'Remove the variable.'
      return { message: `is empty, which would throw away the whole section ${path[0]}. ${fix}` }
    }
    return { node: node === undefined ? emptyMap(at) : asType(node), faults }
  }
  return { node: node ?? scalar(null, at), faults }
}

/** The bare-string form of `storage` and `auth`: `auth: none` is `auth: {none: {}}`. */
export function asType(node: Node): Node {
  if (node.kind !== 'scalar' || node.value === null) return node
  const type: MapNode = emptyMap(node.at)
  type.entries.set(node.text, { at: node.at, node: emptyMap(node.at) })
  return type
}

function pattern(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? '[]' : part))
    .join('.')
    .replaceAll('.[]', '[]')
}
