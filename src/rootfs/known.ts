import { createBudget, type ImageAccount } from '../archive/budget.ts'
import type { LayerEntry } from './layer.ts'
import { baseOf, MAX_LINKS, parentOf } from './name.ts'

/** What has been read of a layer so far. */
export interface KnownLayer {
  add(entry: LayerEntry): void
  /** Nothing more will come. */
  end(): void
  readonly entries: readonly LayerEntry[]
}

/**
 * What a name leads to, by the newest layers alone. `unsure`: layers below may have a link that makes another name this one, so
 * that all must be read; `more`: they say nothing of it, and what they say of these paths would be news.
 */
export type Verdict =
  | { kind: 'file'; layer: number; entry: LayerEntry }
  | { kind: 'directory' | 'missing' | 'not-directory' | 'loop' | 'special'; path: string }
  | { kind: 'unsure' }
  | { kind: 'more'; paths: ReadonlySet<string>; isImplied: boolean }

interface Known {
  index: number
  byPath: Map<string, LayerEntry>
  /** Directories that are there because something is in them. */
  implied: Set<string>
  gone: Set<string>
  opaque: Set<string>
  /** Directories of which the layer itself says so, as of all that they are in. */
  firm: Set<string>
  /** Names below what no entry of this layer says to be a directory, for there may be a link under it: their paths by their last part. */
  loose: Map<string, string | typeof SEVERAL>
  hasLooseOpaque: boolean
  isWhole: boolean
}

const SEVERAL = Symbol('several paths')

/** Layers that are read from the newest down, until they say what a name leads to. */
export function createKnown(account: ImageAccount = createBudget().image()): {
  layer(index: number): KnownLayer
  ask(path: string): Verdict
} {
  const layers: Known[] = []

  function ask(path: string): Verdict {
    let parts = path.split('/')
    for (let links = 0; links <= MAX_LINKS; links++) {
      const verdict = askOnce(layers, parts, account)
      if (!('next' in verdict)) return verdict
      parts = verdict.next
      if (parts.length === 0) return { kind: 'directory', path: '' }
    }
    return { kind: 'loop', path }
  }

  return {
    ask,
    layer(index) {
      const known: Known = {
        ...{
          index,
          byPath: new Map(),
          implied: new Set(),
          gone: new Set(),
          opaque: new Set(),
          firm: new Set(),
          loose: new Map(),
          hasLooseOpaque: false,
          isWhole: false,
        },
      }
      layers.push(known)
      const entries: LayerEntry[] = []
      return {
        entries,
        add(entry) {
          entries.push(entry)
          note(known, entry)
        },
        end() {
          known.isWhole = true
        },
      }
    },
  }
}

function note(known: Known, entry: LayerEntry): void {
  const { path, kind } = entry
  if (kind === 'whiteout') known.gone.add(path)
  else if (kind === 'opaque') known.opaque.add(path)
  else {
    // Nothing that was below it is firm any longer.
    if (kind !== 'directory' && known.firm.has(path)) known.firm.clear()
    known.byPath.set(path, entry)
    for (let at = parentOf(path); at !== '' && !known.implied.has(at); at = parentOf(at)) known.implied.add(at)
  }
  if (isFirm(known, kind === 'opaque' ? path : parentOf(path))) return
  if (kind === 'opaque') {
    known.hasLooseOpaque = true
    return
  }
  const base = baseOf(path)
  const before = known.loose.get(base)
  known.loose.set(base, before === undefined || before === path ? path : SEVERAL)
}

/** Whether the layer itself says of each part of a path that it is a directory, so that no link below changes its meaning. */
function isFirm({ byPath, firm }: Known, path: string): boolean {
  const way: string[] = []
  for (let at = path; at !== '' && !firm.has(at); at = parentOf(at)) {
    if (byPath.get(at)?.kind !== 'directory') return false
    way.push(at)
  }
  for (const at of way) firm.add(at)
  return true
}

function askOnce(
  layers: readonly Known[],
  parts: readonly string[],
  account: ImageAccount,
): Verdict | { next: string[] } {
  const paths = pathsOf(parts)
  const last = paths.length - 1
  const directories = new Set<string>()
  const implied = new Set<string>()
  const asked: Known[] = []
  const settled = <T extends Verdict | { next: string[] }>(verdict: T): T | Verdict =>
    asked.some((layer) => mayBeMeant(layer, parts, paths)) ? { kind: 'unsure' } : verdict
  /** No layer says more of it than those that were asked. */
  const nothing = (): Verdict => {
    const path = paths[last] ?? ''
    return { kind: implied.has(path) ? 'directory' : 'missing', path }
  }

  for (const layer of layers) {
    asked.push(layer)
    // A layer may give the same names again and again.
    account.links(paths.length)
    for (const [index, path] of paths.entries()) {
      const entry = layer.byPath.get(path)
      if (entry === undefined) {
        if (layer.implied.has(path)) implied.add(path)
        continue
      }
      const isLast = index === last
      if (entry.kind === 'directory') {
        if (isLast) return settled({ kind: 'directory', path })
        directories.add(path)
      } else if (directories.has(path)) {
        // A newer layer put a new directory in the place of this.
        return settled(nothing())
      } else if (entry.kind === 'symlink') {
        const next = follow(layer, entry, directories, parts.slice(index + 1))
        return next === undefined ? { kind: 'unsure' } : settled({ next })
      } else if (implied.has(path)) {
        // A newer layer put something in it: that made it a directory.
        return settled(nothing())
      } else {
        const file = entry.kind === 'link' ? linkedFile(layer, entry) : entry
        if (file === undefined) return { kind: 'unsure' }
        if (!isLast) return settled({ kind: 'not-directory', path })
        return settled(
          file.kind === 'file' ? { kind: 'file', layer: layer.index, entry: file } : { kind: 'special', path },
        )
      }
    }
    if (!layer.isWhole) break
    const isGone = paths.some((path) => layer.gone.has(path))
    const isCovered = ['', ...paths.slice(0, last)].some((path) => layer.opaque.has(path))
    if (isGone || isCovered) return settled(nothing())
  }
  if (asked.some((layer) => mayBeMeant(layer, parts, paths))) return { kind: 'unsure' }
  return { kind: 'more', paths: new Set(paths), isImplied: implied.has(paths[last] ?? '') }
}

/** Where a symbolic link leads, with what comes after it; undefined where that takes more to know. */
function follow(
  layer: Known,
  { path, link }: LayerEntry,
  directories: ReadonlySet<string>,
  rest: readonly string[],
): string[] | undefined {
  const isAbsolute = link.startsWith('/')
  const parent = parentOf(path)
  const isReal = (at: string) => layer.byPath.get(at)?.kind === 'directory' || directories.has(at)
  for (let at = isAbsolute ? '' : parent; at !== ''; at = parentOf(at)) if (!isReal(at)) return undefined
  const target = isAbsolute || parent === '' ? [] : parent.split('/')
  let hasNames = false
  for (const part of link.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') {
      target.push(part)
      hasNames = true
      // What lies above a name that may be a link is not known.
    } else if (hasNames) return undefined
    else target.pop()
  }
  return [...target, ...rest]
}

/** The file of a hard link, where this layer has it under just that name. */
function linkedFile(layer: Known, entry: LayerEntry): LayerEntry | undefined {
  let found: LayerEntry | undefined = entry
  for (let links = 0; found?.kind === 'link' && links < MAX_LINKS; links++) {
    const parts: string[] = found.link.split('/')
    if (mayBeMeant(layer, parts, pathsOf(parts))) return undefined
    const target: LayerEntry | undefined = layer.byPath.get(found.link)
    // What comes later is not there yet when the link is made.
    found = target !== undefined && target.at < found.at ? target : undefined
  }
  return found?.kind === 'file' ? found : undefined
}

/** `a`, `a/b`, `a/b/c` */
function pathsOf(parts: readonly string[]): string[] {
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** Whether an entry may come to lie somewhere else on this path than its name says, through a link of a lower layer. */
function mayBeMeant({ loose, hasLooseOpaque }: Known, parts: readonly string[], paths: readonly string[]): boolean {
  if (hasLooseOpaque) return true
  return parts.some((part) => {
    const path = loose.get(part)
    if (path === undefined) return false
    // Of several with this last part, one is not on the way.
    if (path === SEVERAL) return true
    const places = parts.filter((other) => other === part).length
    return places > (paths.includes(path) ? 1 : 0)
  })
}
