import { linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { ADOPTED_ROOT, BLOBS_ROOT, type DistributionFile, pathOf, REPOSITORIES_ROOT } from './distribution-path.ts'
import { makeDirectories, syncDirectory } from './durable.ts'
import { errnoOf, storageError } from './fault.ts'
import { UPLOAD_ID, UPLOADS_FOLDER } from './filesystem.ts'
import type { Fault, Tree } from './tree.ts'
import { walkBlobs } from './tree-blobs.ts'
import { createTreeReading } from './tree-reading.ts'
import { EXPORT_MARKER, walkRepositories } from './tree-repositories.ts'
import { surveyTree } from './tree-survey.ts'
import { createWritePool, defaultWorkers, type WritePool } from './write-pool.ts'

/** Marks the way back: see `Tree.isExport`. */
interface Marker {
  kind: 'berth-export'
  complete: true
  inPlace: true
}

const PLACEHOLDER = `The images of this directory belong to Berth, which has adopted them; what registry:2 knew of them is in
repositories.berth, beside this file.

This file stands where registry:2 keeps its repositories, so that neither a forgotten "registry serve" writes here, nor a
forgotten "registry garbage-collect" deletes every blob. Do not remove it: to go back to registry:2, stop Berth and run

    berth export --in-place --layout distribution
`

/** The tree of registry:2 (or 3) in a data directory, on a file system. */
export function openDistributionTree(directory: string): Tree {
  const root = resolve(directory)
  const top = join(root, REPOSITORIES_ROOT)
  let pool: WritePool | undefined

  const statOf = (path: string) => statSync(path, { throwIfNoEntry: false })
  const isThere = (): boolean => {
    try {
      return statOf(top)?.isDirectory() === true
    } catch (error) {
      throw storageError(error, `look at ${top}`)
    }
  }

  function reading() {
    const faults: Fault[] = []
    return { faults, reading: createTreeReading(root, (fault) => faults.push(fault)) }
  }

  return {
    isThere,

    isExport() {
      try {
        const marker = JSON.parse(readFileSync(join(top, EXPORT_MARKER), 'utf8')) as Partial<Marker> | null
        return marker?.kind === 'berth-export' && marker.complete === true && marker.inPlace === true
      } catch {
        return false
      }
    },

    survey: (tick) => surveyTree(root, REPOSITORIES_ROOT, tick),

    blobs() {
      const { faults, reading: read } = reading()
      return walkBlobs(read, faults)
    },

    repositories() {
      const { faults, reading: read } = reading()
      return walkRepositories(read, faults, REPOSITORIES_ROOT)
    },

    async read(digest, limit) {
      const path = pathOf({ kind: 'blob', digest })
      try {
        const stats = lstatSync(join(root, path), { throwIfNoEntry: false })
        if (stats === undefined || !stats.isFile() || stats.size === 0) return 'missing'
        return stats.size > limit ? 'too-large' : readFileSync(join(root, path))
      } catch (error) {
        if (isAbsence(error)) return 'missing'
        return { kind: 'unreadable', path, detail: errnoOf(error) ?? String(error) }
      }
    },

    async hash(key, size) {
      pool ??= createWritePool(defaultWorkers())
      const algorithm = key.startsWith(`${BLOBS_ROOT}/sha512/`) ? 'sha512' : 'sha256'
      try {
        return await pool.digest(join(root, key), size, algorithm)
      } catch {
        return undefined
      }
    },

    has(file: DistributionFile) {
      try {
        return lstatSync(join(root, pathOf(file)), { throwIfNoEntry: false }) !== undefined
      } catch (error) {
        return isAbsence(error) ? false : undefined
      }
    },

    async alias(digest: Digest, target: Digest) {
      const path = join(root, pathOf({ kind: 'blob', digest }))
      try {
        makeDirectories(dirname(path))
        linkSync(join(root, pathOf({ kind: 'blob', digest: target })), path)
        syncDirectory(dirname(path))
        return true
      } catch (error) {
        return errnoOf(error) === 'EEXIST'
      }
    },

    async takeUpload(repository, upload) {
      const from = join(root, pathOf({ kind: 'upload-data', repository, upload }))
      const to = join(root, UPLOADS_FOLDER, upload)
      if (!UPLOAD_ID.test(upload)) return undefined
      try {
        mkdirSync(dirname(to), { recursive: true })
        // Taken already where a run before this one was interrupted.
        if (statOf(to) === undefined) renameSync(from, to)
        return { id: upload, size: statSync(to).size, state: '' }
      } catch (error) {
        if (isAbsence(error)) return undefined
        throw storageError(error, `take over the upload ${upload} of ${repository}`)
      }
    },

    async retire() {
      const parent = dirname(top)
      try {
        syncUploads(root)
        // Whoever puts the tree back one day must not have it taken for one of today, and deleted what came since.
        const marker = join(top, EXPORT_MARKER)
        // A folder of that name marks nothing.
        if (lstatSync(marker, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(marker)
        const name = firstFree(root)
        renameSync(top, join(root, name))
        // Made beside it and renamed, so that it is never there without its text.
        guardDistributionTree(root)
        syncDirectory(parent)
        return name
      } catch (error) {
        throw storageError(error, `rename ${top}`)
      }
    },

    async close() {
      await pool?.close()
    },
  }
}

/**
 * Sees to it that where a tree was adopted, something stands in its place: a crash may have come between the two. The other
 * registry takes a missing tree for an empty one as soon as it writes to it, and its collector would then delete all blobs.
 */
export function guardDistributionTree(directory: string): void {
  const root = resolve(directory)
  const top = join(root, REPOSITORIES_ROOT)
  const isAdopted = statSync(join(root, ADOPTED_ROOT), { throwIfNoEntry: false }) !== undefined
  if (!isAdopted || lstatSync(top, { throwIfNoEntry: false }) !== undefined) return
  const fresh = `${top}.placeholder`
  writeFileSync(fresh, PLACEHOLDER, { mode: 0o444 })
  renameSync(fresh, top)
}

/** A tree that was put aside before stays: the first may be the only one that somebody can go back to by hand. */
function firstFree(root: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? ADOPTED_ROOT : `${ADOPTED_ROOT}.${number}`
    if (lstatSync(join(root, name), { throwIfNoEntry: false }) === undefined) return name
  }
}

function syncUploads(root: string): void {
  const uploads = join(root, UPLOADS_FOLDER)
  if (statSync(uploads, { throwIfNoEntry: false })?.isDirectory()) syncDirectory(uploads)
}

function isAbsence(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR'
}
