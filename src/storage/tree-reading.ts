import { type Dirent, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { parseLinkText } from './distribution-path.ts'
import { errnoOf } from './fault.ts'
import type { Fault } from './tree.ts'

/** A link's file is a digest; whatever is much longer is none, and need not be read. */
const MAX_LINK = 1024
/** Looks at the file system between two turns of the event loop: a server that starts still answers, and signals count. */
const TURN = 200

export type EntryKind = 'file' | 'folder' | 'symlink' | 'other'

export interface Entry {
  name: string
  kind: EntryKind
}

/** Reads of a tree below `root`, synchronous, for one takes microseconds; each fault is told to `report`. */
export interface TreeReading {
  /** In order of names; undefined (and told) when the folder cannot be read, empty when it is not there. */
  list(path: string): Entry[] | undefined
  /** Undefined when it is not there, or (told) cannot be looked at. */
  stat(path: string): Stats | undefined
  /** The link in a folder, or undefined: there is none, or (told) it cannot be used. */
  link(folder: string): { digest: Digest; modified: number } | undefined
  /** Tells that something is wrong. */
  fault(kind: Fault['kind'], path: string, detail: string): void
  /** Something that is no folder where one should be. */
  misplaced(entry: Entry, path: string): void
  /** Lets others run, now and then. */
  turn(): Promise<void>
}

export function createTreeReading(root: string, report: (fault: Fault) => void): TreeReading {
  let looks = 0
  const fault: TreeReading['fault'] = (kind, path, detail) => report({ kind, path, detail })

  function unreadable(path: string, error: unknown): void {
    fault('unreadable', path, errnoOf(error) ?? String(error))
  }

  function stat(path: string): Stats | undefined {
    looks++
    try {
      return lstatSync(join(root, path))
    } catch (error) {
      if (!isAbsence(error)) unreadable(path, error)
      return undefined
    }
  }

  function list(path: string): Entry[] | undefined {
    looks++
    try {
      const entries = readdirSync(join(root, path), { withFileTypes: true })
      const kinds = entries.map((entry) => ({
        name: entry.name,
        kind: kindOf(entry) ?? kindAt(`${path}/${entry.name}`),
      }))
      return kinds.sort((a, b) => (a.name < b.name ? -1 : 1))
    } catch (error) {
      if (isAbsence(error)) return []
      unreadable(path, error)
      return undefined
    }
  }

  /** Some file systems tell the kinds of entries only one by one. */
  function kindAt(path: string): EntryKind {
    const stats = stat(path)
    return (stats && kindOf(stats)) ?? 'other'
  }

  return {
    list,
    stat,
    fault,

    link(folder) {
      const path = `${folder}/link`
      const stats = stat(path)
      // The other registry deletes a link and leaves its folder.
      if (stats === undefined) return undefined
      const kind = kindOf(stats)
      if (kind !== 'file') {
        fault(kind === 'symlink' ? 'symlink' : 'stray', path, 'in the place of a link')
        return undefined
      }
      if (stats.size === 0) {
        fault('empty-link', path, 'it is empty')
        return undefined
      }
      const text = stats.size > MAX_LINK ? '' : readText(path)
      if (text === undefined) return undefined
      const digest = parseLinkText(text)
      if (digest === undefined) {
        fault('bad-link', path, `it holds ${stats.size} bytes that are no digest`)
        return undefined
      }
      return { digest, modified: Math.floor(stats.mtimeMs) }
    },

    misplaced(entry, path) {
      if (entry.kind === 'symlink') fault('symlink', path, 'nothing that it leads to is adopted')
      else fault('stray', path, entry.kind === 'folder' ? 'a folder' : 'not a folder')
    },

    async turn() {
      if (looks < TURN) return
      looks = 0
      await new Promise((resolve) => setImmediate(resolve))
    },
  }

  function readText(path: string): string | undefined {
    looks++
    try {
      return readFileSync(join(root, path), 'utf8')
    } catch (error) {
      unreadable(path, error)
      return undefined
    }
  }
}

function kindOf(entry: Dirent | Stats): EntryKind | undefined {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  if (entry.isSymbolicLink()) return 'symlink'
  return entry.isFIFO() || entry.isSocket() || entry.isBlockDevice() || entry.isCharacterDevice() ? 'other' : undefined
}

function isAbsence(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR'
}
