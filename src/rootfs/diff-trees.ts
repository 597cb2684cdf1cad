import type { LayerEntry } from './layer.ts'
import type { Tree, TreeFile } from './tree.ts'

/** What two images have of one name; `before` is missing where it was added, `after` where it was removed. */
export interface FileChange {
  path: string
  change: 'added' | 'removed' | 'changed'
  /** Of what was changed, in which ways. */
  ways: string[]
  before: TreeFile | undefined
  after: TreeFile | undefined
}

/** Every name that is not the same in both, by name. Times do not count: they differ in everything that was built again. */
export function diffTrees(before: Tree, after: Tree): FileChange[] {
  const old = new Map([...before.list('')].map((file) => [file.path, file]))
  const changes: FileChange[] = []
  for (const file of after.list('')) {
    const { path } = file
    const was = old.get(path)
    old.delete(path)
    if (was === undefined) changes.push({ path, change: 'added', ways: [], before: undefined, after: file })
    else {
      const ways = waysOf(was, file)
      if (ways.length > 0) changes.push({ path, change: 'changed', ways, before: was, after: file })
    }
  }
  for (const file of old.values()) {
    changes.push({ path: file.path, change: 'removed', ways: [], before: file, after: undefined })
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function waysOf(before: TreeFile, after: TreeFile): string[] {
  if (before.kind !== after.kind) return [`${before.kind} → ${after.kind}`]
  const [old, now] = [before.entry, after.entry]
  // A directory that no layer speaks of has what a runtime gives it.
  if (old === undefined || now === undefined) return []
  return [
    ...(contentOf(old) === contentOf(now)
      ? []
      : [old.size === now.size ? 'content' : `content (${old.size} → ${now.size} bytes)`]),
    ...said('mode', old.mode.toString(8).padStart(4, '0'), now.mode.toString(8).padStart(4, '0')),
    ...said('owner', `${old.uid}:${old.gid}`, `${now.uid}:${now.gid}`),
    ...(before.kind === 'symlink' || before.kind === 'link' ? said('target', old.link, now.link) : []),
    ...(old.attributes === now.attributes ? [] : ['extended attributes']),
  ]
}

/** Layers are read with the hashes of their files. */
function contentOf({ size, hash = '' }: LayerEntry): string {
  return `${size} ${hash}`
}

function said(what: string, old: string, now: string): string[] {
  return old === now ? [] : [`${what} ${old} → ${now}`]
}
