import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The data directory of a registry, and the disk that it is on. */
export interface DataFacts {
  directory: string
  exists: boolean
  /** The first folder or file of it that this user may not write, and why; undefined: none was found. */
  unwritable: { path: string; code: string } | undefined
  /** Of the disk; undefined where it cannot be asked. */
  free: { bytes: number; total: number; files: number | undefined } | undefined
  /** Owner of the directory, and who looks. */
  owner: number | undefined
  user: number | undefined
}

/** Where registries put new files; what is not there yet is made in the folder above. */
const WRITTEN = [
  '',
  'docker',
  'docker/registry',
  'docker/registry/v2',
  'docker/registry/v2/blobs',
  'docker/registry/v2/blobs/sha256',
  'docker/registry/v2/repositories',
  'berth-uploads',
]

/** What Berth writes to in place: a command as root, or a copy, may have left it to another user. */
const KEPT = ['berth.db', 'berth.db-wal', 'berth.db-shm', 'audit.log']

/** Never throws. */
export function dataFacts(directory: string): DataFacts {
  const exists = isFolder(directory)
  const nearest = exists ? directory : existing(directory)
  const kept = exists ? KEPT.map((path) => join(directory, path)).filter((path) => existsSync(path)) : []
  const folders = exists ? WRITTEN.map((path) => join(directory, path)).filter(isFolder) : [nearest]
  return {
    directory,
    exists,
    unwritable: [...folders.map(unwritable), ...kept.map(unwritableFile)].find((fault) => fault !== undefined),
    free: freeOf(nearest),
    owner: exists ? statSync(directory).uid : undefined,
    user: process.getuid?.(),
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** The path, or the nearest above it that is there. */
function existing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existing(dirname(path))
}

function unwritable(path: string): DataFacts['unwritable'] {
  try {
    // First, for it tells a file from a folder.
    readdirSync(path)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return { path, code: error instanceof Error && 'code' in error ? String(error.code) : 'EACCES' }
  }
}

function unwritableFile(path: string): DataFacts['unwritable'] {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return { path, code: error instanceof Error && 'code' in error ? String(error.code) : 'EACCES' }
  }
}

function freeOf(path: string): DataFacts['free'] {
  try {
    const { bavail, blocks, bsize, ffree, files } = statfsSync(path)
    // Some file systems count no inodes, and say 0 of 0.
    return { bytes: bavail * bsize, total: blocks * bsize, files: files === 0 ? undefined : ffree }
  } catch {
    return undefined
  }
}
