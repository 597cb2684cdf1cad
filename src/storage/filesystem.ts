import { statSync } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { freshKey, isBlobKey } from './blob-path.ts'
import { listBlobs, listUploads, objectsIn, surveyBlobs, surveyUploads } from './blob-walk.ts'
import { pathOf } from './distribution-path.ts'
import { makeDirectories } from './durable.ts'
import { errnoOf, storageError } from './fault.ts'
import { createQuarantine } from './quarantine.ts'
import { createScanThread } from './scan-thread.ts'
import { type Storage, StorageError, type StoredUpload } from './storage.ts'
import { createWritePool, defaultWorkers } from './write-pool.ts'

/** Below the data directory. */
export const UPLOADS_FOLDER = 'berth-uploads'
export const UPLOAD_ID = /^[A-Za-z0-9_-]{1,200}$/

export interface FilesystemOptions {
  /** Made when it is not there. Everything below belongs to one process. */
  directory: string
  /** Threads that hash and write. */
  workers?: number
  /** What tells a blob's file from an older one that the collector holds: `[A-Za-z0-9_-]{1,64}`. */
  newGeneration?: () => string
}

/**
 * Blobs as files, where registry:2 keeps them: `docker/registry/v2/blobs/<algorithm>/<hex, 2 digits>/<hex>/data`.
 * A key is the path below `directory`. Uploads are files in `directory`/berth-uploads.
 * @throws StorageError when the directory cannot be made or written.
 */
export async function openFilesystem(options: FilesystemOptions): Promise<Storage> {
  const { workers = defaultWorkers(), newGeneration = randomGeneration } = options
  const root = resolve(options.directory)
  const uploads = join(root, UPLOADS_FOLDER)
  try {
    makeDirectories(uploads)
  } catch (error) {
    throw storageError(error, `use ${root} as storage`)
  }
  const pool = createWritePool(workers)
  const scan = createScanThread()

  const uploadPath = (id: string): string => {
    if (UPLOAD_ID.test(id)) return join(uploads, id)
    throw new StorageError('failed', 'not the id of an upload')
  }
  const objectPath = (key: string): string => {
    if (isBlobKey(key)) return join(root, key)
    throw new StorageError('failed', 'not a key of this storage')
  }

  return {
    async begin(id) {
      await pool.create(uploadPath(id))
      return { id, size: 0, state: '' }
    },
    async append(upload, body, algorithm) {
      const path = uploadPath(upload.id)
      const appended = await pool.append({ id: upload.id, path, from: upload.size, algorithm }, body)
      const { size, digest, interrupted } = appended
      return { upload: { ...upload, size }, digest, interrupted }
    },
    async sizeOf(upload) {
      return sizeOfFile(uploadPath(upload.id))
    },
    async digest(upload, algorithm) {
      const digest = await pool.digest(uploadPath(upload.id), upload.size, algorithm)
      if (digest !== undefined) return digest
      throw new StorageError('failed', 'a storage thread gave no digest')
    },
    async seal(upload: StoredUpload, digest, avoid) {
      const key = freshKey(digest, avoid, newGeneration)
      const { id, size } = upload
      await pool.seal({ id, path: uploadPath(id), size, root, key })
      return key
    },
    async abort(upload) {
      await pool.abort(upload.id, uploadPath(upload.id))
    },
    async open(key) {
      const path = objectPath(key)
      const size = sizeOfFile(path)
      return size === undefined ? undefined : { kind: 'file', path, size }
    },
    async delete(key) {
      return pool.delete(objectPath(key))
    },
    list() {
      return listBlobs(root)
    },
    async *uploads() {
      for await (const upload of listUploads(uploads)) if (UPLOAD_ID.test(upload.id)) yield upload
    },
    async *survey() {
      yield* surveyBlobs(root)
      yield* surveyUploads(root, UPLOADS_FOLDER, UPLOAD_ID)
    },
    objectsOf(digest) {
      return objectsIn(root, dirname(pathOf({ kind: 'blob', digest })), digest)
    },
    examine(keys) {
      return scan.examine(keys.map(objectPath))
    },
    async hash(key, algorithm, onBytes) {
      return await scan.hash(objectPath(key), algorithm, onBytes)
    },
    quarantine: createQuarantine(root, scan),
    async check() {
      try {
        // Not the root: where a disk went away, the empty folder that it was mounted on is still there.
        await access(uploads, constants.R_OK | constants.X_OK)
      } catch (error) {
        throw storageError(error, `reach ${uploads}`)
      }
    },
    async close() {
      await Promise.all([pool.close(), scan.close()])
    },
  }
}

/**
 * Synchronous, for it is on the way of every pull and takes 2 us, where a thread's answer takes 20 and
 * waits its turn behind whatever else the few threads of the runtime's own pool do.
 */
function sizeOfFile(path: string): number | undefined {
  try {
    const entry = statSync(path, { throwIfNoEntry: false })
    return entry?.isFile() ? entry.size : undefined
  } catch (error) {
    const code = errnoOf(error)
    // ELOOP: a link that leads to itself.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw storageError(error, 'look at a file')
  }
}

function randomGeneration(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 12)
}
