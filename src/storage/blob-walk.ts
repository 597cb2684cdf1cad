import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { isBlobFileName, isBlobFolder } from './blob-path.ts'
import { BLOBS_ROOT } from './distribution-path.ts'
import { errnoOf, storageError } from './fault.ts'
import type { ListedObject } from './storage.ts'

/** Every blob's file below `root`, one shard (1/256 of all) in memory at a time. What goes meanwhile may be missing. */
export async function* listBlobs(root: string): AsyncIterable<ListedObject> {
  for (const algorithm of await directoriesOf(join(root, BLOBS_ROOT))) {
    for (const shard of await directoriesOf(join(root, BLOBS_ROOT, algorithm))) {
      for (const hex of await directoriesOf(join(root, BLOBS_ROOT, algorithm, shard))) {
        if (!isBlobFolder(algorithm, shard, hex)) continue
        const folder = `${BLOBS_ROOT}/${algorithm}/${shard}/${hex}`
        for (const entry of await entriesOf(join(root, folder))) {
          if (!entry.isFile() || !isBlobFileName(entry.name)) continue
          const key = `${folder}/${entry.name}`
          const found = await unlessGone(lstat(join(root, key)))
          if (found === undefined) continue
          yield { key, digest: `${algorithm}:${hex}` as Digest, size: found.size, modified: found.mtime }
        }
      }
    }
  }
}

/** Every file in the folder of uploads. */
export async function* listUploads(folder: string): AsyncIterable<{ id: string; size: number; modified: Date }> {
  for (const entry of await entriesOf(folder)) {
    const found = entry.isFile() ? await unlessGone(lstat(join(folder, entry.name))) : undefined
    if (found !== undefined) yield { id: entry.name, size: found.size, modified: found.mtime }
  }
}

async function directoriesOf(path: string): Promise<string[]> {
  return (await entriesOf(path)).filter((entry) => entry.isDirectory()).map((entry) => entry.name)
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
