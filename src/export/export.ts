import { statSync } from 'node:fs'
import type { Contents } from '../metadata/metadata.ts'
import { makeDirectories } from '../storage/durable.ts'
import { errnoOf } from '../storage/fault.ts'
import { type FolderLock, lockFolder } from '../storage/folder-lock.ts'
import { StorageError } from '../storage/storage.ts'
import { exportDistribution } from './distribution.ts'
import { ExportError } from './export-error.ts'
import { exportOci } from './oci.ts'
import { overlapOf } from './overlap.ts'
import { eachRepository } from './pages.ts'
import { createReport, type Report } from './report.ts'
import { isSelected, type Selection } from './selection.ts'

export interface ExportOptions {
  layout: 'distribution' | 'oci'
  contents: Contents
  /** Absolute: keys of blobs are paths below it. */
  storage: string
  /** Absolute; made when it is not there. */
  directory: string
  /** `directory` is Berth's own. Nobody else writes into it meanwhile. */
  inPlace: boolean
  /** Looks at everything, and writes nothing. */
  dryRun: boolean
  /** For `oci`: leaves manifests of Docker's media types as they are, which not all readers of layouts take. */
  verbatim: boolean
  selection: Selection
  /** Milliseconds since the epoch. */
  now: () => number
  progress: Progress
}

/** Hears how far an export is. */
export interface Progress {
  /** What there is to do, as far as it is known; called before the rest. */
  total(of: { items: number; bytes: number }): void
  /** Bytes that were copied, or need not be. */
  bytes(count: number): void
  /** One manifest, tag, or blob of a repository is done. */
  item(): void
}

/** Copies what repositories hold into a layout that other programs read. @throws ExportError */
export async function runExport(options: ExportOptions): Promise<Report> {
  const { layout, directory, inPlace, dryRun, contents, selection, progress } = options
  const report = createReport({ layout, directory, inPlace, dryRun })
  if (!inPlace) refuseOverlap(directory, options.storage)
  try {
    const total = { items: 0, bytes: 0 }
    let repositories = 0
    for await (const entry of eachRepository(contents, (name) => isSelected(selection, name))) {
      repositories++
      total.items += entry.manifests + entry.tags + entry.blobs
      total.bytes += entry.bytes
    }
    const named = [...selection.images.keys(), ...selection.patterns]
    if (repositories === 0 && named.length > 0) throw new ExportError(`there is no repository ${named.join(' or ')}`)
    progress.total(total)
    const lock = inPlace || dryRun ? undefined : takeFolder(directory)
    try {
      await (layout === 'oci' ? exportOci(options, report) : exportDistribution(options, report))
    } finally {
      lock?.release()
    }
    return report
  } catch (error) {
    throw explained(error, directory)
  }
}

/** Two at once would throw away what the other one has made so far, and call what is left of both a whole. */
function takeFolder(directory: string): FolderLock | undefined {
  const there = statSync(directory, { throwIfNoEntry: false })
  // Something else than a folder has its words later.
  if (there?.isDirectory() === false) return undefined
  if (there === undefined) makeDirectories(directory)
  const lock = lockFolder(directory)
  if (lock === undefined) throw new ExportError(`${directory} is in use: another export runs there`)
  return lock
}

/** An export into the folders that it reads from would never end well. */
function refuseOverlap(directory: string, storage: string): void {
  const overlap = overlapOf(directory, storage)
  if (overlap === 'same') {
    throw new ExportError(
      `${directory} is Berth's own data directory; --in-place writes the links of registry:2 into it`,
    )
  }
  if (overlap === 'nested') {
    throw new ExportError(
      `${directory} and the data directory ${storage} lie one within the other; name another folder`,
    )
  }
}

const REASONS: Record<string, string> = {
  ENOSPC: 'its disk is full. Make room and export again: what is there already is kept',
  EDQUOT: 'its quota is used up. Make room and export again: what is there already is kept',
  EROFS: 'its file system is read-only',
  EACCES: 'this user may not write there, or not read the data directory',
  EPERM: 'this user may not write there, or not read the data directory',
  ENOTDIR: 'a part of the path is a file',
  ENAMETOOLONG: 'its file system does not take names that long',
  EIO: 'its disk fails',
}

function explained(error: unknown, directory: string): unknown {
  if (error instanceof StorageError) return new ExportError(error.message, error)
  const reason = REASONS[errnoOf(error) ?? '']
  if (reason === undefined) return error
  const path = error instanceof Error && 'path' in error ? ` (${String(error.path)})` : ''
  return new ExportError(`cannot export to ${directory}: ${reason}${path}`, error)
}
