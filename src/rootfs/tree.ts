import { type Budget, createBudget } from '../archive/budget.ts'
import type { FileKind } from '../archive/tar-header.ts'
import type { LayerEntry } from './layer.ts'
import { baseOf, join, MAX_LINKS, MAX_PATH, parentOf, safeName } from './name.ts'

/** A file of the image, and where it is from. */
export interface TreeFile {
  path: string
  /** `link`: a hard link to what is not there. */
  kind: FileKind
  /** Undefined for a directory that no layer has an entry of: it is there because something is in it. */
  entry: LayerEntry | undefined
  /** Index of the layer that `entry` is of. */
  layer: number
}

/** What a name leads to. `not-directory`: a part before its last is a file; `loop`: its links lead in a circle. */
export type Found = { kind: 'found'; file: TreeFile } | { kind: 'missing' | 'not-directory' | 'loop'; path: string }

/** The root file system of an image: names alone. */
export interface Tree {
  /** Lays a further layer over those before (OCI Image Specification 1.1, "Applying Changesets"). */
  apply(entries: Iterable<LayerEntry>): void
  /** Links are followed, also the last, and never lead out. */
  find(path: string): Found
  /** A directory's whole content, or the file itself, by name; without the root. `path` as `find` gives it. */
  list(path: string): Generator<TreeFile, undefined>
}

interface Node {
  kind: FileKind
  entry: LayerEntry | undefined
  layer: number
  /** The layer that put it here; higher than `layer` for a hard link. */
  placed: number
  /** The last layer that took away what layers below it put here. */
  cleared: number | undefined
  children: Map<string, Node> | undefined
}

export function createTree(budget: Budget = createBudget()): Tree {
  const root: Node = directory(undefined, 0)
  const account = budget.image()
  let layers = 0

  /** Goes from directory to directory. Without `makeFor` (the layer that is laid) it stops where nothing is. */
  function walk(path: string, options: { followLast: boolean; makeFor?: number }): WalkEnd {
    const parts = path.split('/').filter((part) => part !== '')
    const way: { node: Node; path: string }[] = [{ node: root, path: '' }]
    let links = 0
    while (parts.length > 0) {
      const part = parts.shift() ?? ''
      const here = way.at(-1) ?? { node: root, path: '' }
      if (part === '.' || part === '') continue
      if (part === '..') {
        if (way.length > 1) way.pop()
        continue
      }
      const at = join(here.path, part)
      if (here.node.children === undefined) {
        if (options.makeFor === undefined) return { kind: 'not-directory', path: here.path }
        become(here.node, directory(undefined, options.makeFor))
      }
      if (at.length > MAX_PATH) return { kind: 'missing', path: here.path }
      let next = here.node.children?.get(part)
      if (next === undefined) {
        if (options.makeFor === undefined) return { kind: 'missing', path: at }
        next = directory(undefined, options.makeFor)
        here.node.children?.set(part, next)
      }
      if (next.kind === 'symlink' && next.entry !== undefined && (parts.length > 0 || options.followLast)) {
        if (++links > MAX_LINKS) return { kind: 'loop', path: at }
        const { link } = next.entry
        if (link.startsWith('/')) way.length = 1
        const further = link.split('/')
        account.links(further.length)
        parts.unshift(...further)
      } else way.push({ node: next, path: at })
    }
    const end = way.at(-1) ?? { node: root, path: '' }
    if (options.makeFor !== undefined && end.node.children === undefined) {
      become(end.node, directory(undefined, options.makeFor))
    }
    return { kind: 'found', ...end }
  }

  function lay(entry: LayerEntry, layer: number): void {
    const { path, kind } = entry
    if (path === '') {
      if (kind === 'directory') Object.assign(root, { entry, layer, placed: layer })
      else if (kind === 'opaque') removeLower(root, layer)
      return
    }
    const isGone = kind === 'whiteout' || kind === 'opaque'
    const above = isGone && kind === 'opaque' ? path : parentOf(path)
    const parent = walk(above, { followLast: true, ...(isGone ? {} : { makeFor: layer }) })
    if (parent.kind !== 'found') return
    const { children } = parent.node
    if (kind === 'opaque') {
      removeLower(parent.node, layer)
      return
    }
    const base = baseOf(path)
    const old = children?.get(base)
    if (kind === 'whiteout') {
      if (old !== undefined && removeLower(old, layer) === 'nothing left') children?.delete(base)
      return
    }
    if (kind === 'directory') {
      const { children: kept = new Map(), cleared } = old ?? {}
      children?.set(base, { ...directory(entry, layer), children: kept, cleared })
      return
    }
    const target = kind === 'link' ? walk(entry.link, { followLast: false }) : undefined
    const linked = target?.kind === 'found' && target.node.children === undefined ? target.node : undefined
    children?.set(base, linked === undefined ? leaf(kind, entry, layer) : { ...linked, placed: layer })
  }

  /** Not by calling itself: how deep it goes is a stranger's choice. */
  function* below(node: Node, path: string): Generator<TreeFile, undefined> {
    const left = childrenOf(node, path)
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      yield fileOf(next.node, next.path)
      left.push(...childrenOf(next.node, next.path))
    }
    return undefined
  }

  return {
    apply(entries) {
      // A hidden file may be named before or after what hides it: only lower layers are hidden ("Whiteouts").
      for (const entry of entries) {
        account.entry()
        lay(entry, layers)
      }
      layers++
    },
    find(path) {
      const end = walk(path, { followLast: true })
      return end.kind === 'found' ? { kind: 'found', file: fileOf(end.node, end.path) } : end
    },
    *list(path) {
      const end = walk(safeName(path).path, { followLast: false })
      if (end.kind !== 'found') return undefined
      if (end.node.children !== undefined) return yield* below(end.node, end.path)
      yield fileOf(end.node, end.path)
      return undefined
    },
  }
}

type WalkEnd =
  | { kind: 'found'; node: Node; path: string }
  | { kind: 'missing' | 'not-directory' | 'loop'; path: string }

/** The last name first. */
function childrenOf(node: Node, path: string): { node: Node; path: string }[] {
  return [...(node.children ?? [])]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([base, child]) => ({ node: child, path: join(path, base) }))
}

function directory(entry: LayerEntry | undefined, layer: number): Node {
  return { kind: 'directory', entry, layer, placed: layer, cleared: undefined, children: new Map() }
}

function leaf(kind: FileKind, entry: LayerEntry, layer: number): Node {
  return { kind, entry, layer, placed: layer, cleared: undefined, children: undefined }
}

/** A file that something is put into makes way for a directory. */
function become(node: Node, other: Node): void {
  Object.assign(node, other)
}

function fileOf({ kind, entry, layer }: Node, path: string): TreeFile {
  return { path, kind, entry, layer }
}

/** Takes away what layers below `layer` put there. A layer may ask for it any number of times: the first does it. */
function removeLower(node: Node, layer: number): 'nothing left' | 'something left' {
  if (node.cleared !== layer) {
    for (const [base, child] of node.children ?? []) {
      if (removeLower(child, layer) === 'nothing left') node.children?.delete(base)
    }
    node.cleared = layer
  }
  const isEmpty = node.children === undefined || node.children.size === 0
  return node.placed !== layer && isEmpty ? 'nothing left' : 'something left'
}
