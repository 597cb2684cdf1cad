import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { isBlobFileName, isBlobFolder } from './blob-path.ts'
import { BLOBS_ROOT } from './distribution-path.ts'
import { errnoOf, storageError } from './fault.ts'
import type { ListedObject, Stranger, Surveyed } from './storage.ts'

/** Every blob's file below `root`, one shard (1/256 of all) in memory at a time. What goes meanwhile may be missing. */
export async function* listBlobs(root: string): AsyncIterable<ListedObject> {
  for await (const found of surveyBlobs(root)) {
    if (found.kind !== 'object') continue
    const { kind: _, ...object } = found
    yield object
  }
}

/** As `listBlobs`, with what lies among the blobs and is none. */
export async function* surveyBlobs(root: string): AsyncIterable<Surveyed> {
  for (const algorithm of await entriesOf(join(root, BLOBS_ROOT))) {
    const top = `${BLOBS_ROOT}/${algorithm.name}`
    if (!algorithm.isDirectory()) yield* stranger(root, top, algorithm)
    else for (const shard of await entriesOf(join(root, top))) yield* surveyShard(root, algorithm.name, shard)
  }
}

async function* surveyShard(root: string, algorithm: string, shard: Dirent): AsyncIterable<Surveyed> {
  const path = `${BLOBS_ROOT}/${algorithm}/${shard.name}`
  if (!shard.isDirectory()) return yield* stranger(root, path, shard)
  for (const folder of await entriesOf(join(root, path))) {
    const place = `${path}/${folder.name}`
    if (!folder.isDirectory() || !isBlobFolder(algorithm, shard.name, folder.name)) {
      yield* stranger(root, place, folder)
      continue
    }
    for (const entry of await entriesOf(join(root, place))) {
      const key = `${place}/${entry.name}`
      if (!entry.isFile() || !isBlobFileName(entry.name)) {
        yield* stranger(root, key, entry)
        continue
      }
      const found = await unlessGone(lstat(join(root, key)))
      if (found === undefined) continue
      yield {
        ...{ kind: 'object', key, digest: `${algorithm}:${folder.name}` as Digest },
        ...{ size: found.size, modified: found.mtime },
      }
    }
  }
}

/** What is in the folder of uploads and no upload. */
export async function* surveyUploads(root: string, folder: string, id: RegExp): AsyncIterable<Surveyed> {
  for (const entry of await entriesOf(join(root, folder))) {
    if (!entry.isFile() || !id.test(entry.name)) yield* stranger(root, `${folder}/${entry.name}`, entry)
  }
}

async function* stranger(root: string, path: string, entry: Dirent): AsyncIterable<Surveyed> {
  const found = await unlessGone(lstat(join(root, path)))
  if (found === undefined) return
  yield { kind: 'stranger', path, what: whatIs(entry), size: found.size, modified: found.mtime }
}

function whatIs(entry: Dirent): Stranger['what'] {
  if (entry.isSymbolicLink()) return 'symbolic link'
  if (entry.isDirectory()) return 'folder'
  return entry.isFile() ? 'file' : 'other'
}

/** Files of one digest, in its folder below `root`. */
export async function objectsIn(root: string, folder: string, digest: Digest): Promise<ListedObject[]> {
  const objects: ListedObject[] = []
  for (const entry of await entriesOf(join(root, folder))) {
    if (!entry.isFile() || !isBlobFileName(entry.name)) continue
    const found = await unlessGone(lstat(join(root, folder, entry.name)))
    if (found === undefined) continue
    objects.push({ key: `${folder}/${entry.name}`, digest, size: found.size, modified: found.mtime })
  }
  return objects
}

/** Every file in the folder of uploads. */
export async function* listUploads(folder: string): AsyncIterable<{ id: string; size: number; modified: Date }> {
  for (const entry of await entriesOf(folder)) {
    const found = entry.isFile() ? await unlessGone(lstat(join(folder, entry.name))) : undefined
    if (found !== undefined) yield { id: entry.name, size: found.size, modified: found.mtime }
  }
}

async function entriesOf(path: string): Promise<Dirent[]> {
  return (await unlessGone(readdir(path, { withFileTypes: true }))) ?? []
}

async function unlessGone<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw storageError(error, 'list the blobs')
  }
}
