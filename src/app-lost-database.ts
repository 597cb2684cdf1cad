import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasTree } from './app-adoption.ts'
import { newestCopy, quoted } from './app-damage.ts'
import type { Metadata } from './metadata/metadata.ts'
import { SNAPSHOTS_FOLDER } from './metadata/snapshot-file.ts'
import { BLOBS_ROOT } from './storage/distribution-path.ts'
import { UPLOADS_FOLDER } from './storage/filesystem.ts'

/**
 * Where Berth's own blobs are and its database is not (moved, on a disk that is not mounted, `metadata.path` changed), a new one would
 * show an empty registry, whose sweep takes every blob for what a crash left, and whose daily copies push the old ones out.
 * What another registry left is adopted, which makes the rows. Both are absolute.
 * @throws Error that says how to go on
 */
export function refuseLostDatabase(data: { directory: string; metadata: string }): void {
  const { directory, metadata } = data
  const database = join(metadata, 'berth.db')
  if (sizeOf(database) + sizeOf(`${database}-wal`) > 0) return
  // Made after the database, so that who has blobs alone is no Berth.
  if (statSync(join(directory, UPLOADS_FOLDER), { throwIfNoEntry: false }) === undefined) return
  if (hasTree({ data }) || !hasBlobs(join(directory, BLOBS_ROOT))) return
  throw new Error(
    `${directory} holds the blobs of a registry, and its database ${database} is not there: without it all of them would count as garbage. ` +
      `Bring it back${metadata === directory ? '' : ' (metadata.path says where it is)'}, ${copyAdvice([metadata, directory], database)}. ` +
      `To begin with nothing here, move ${join(directory, 'docker')} away first`,
  )
}

/**
 * The other way round: a database that names blobs, and no folder that could hold any, which is what a disk that is not mounted looks
 * like. Every image would be 404, and what clients push again would lie below the mount. Before the storage is opened, which makes folders.
 * @throws Error that says how to go on
 */
export async function refuseLostBlobs(
  directory: string,
  metadata: { verification: Pick<Metadata['verification'], 'blobs'> },
): Promise<void> {
  const blobs = join(directory, BLOBS_ROOT)
  if (statSync(blobs, { throwIfNoEntry: false }) !== undefined) return
  const [named] = await metadata.verification.blobs({ limit: 1 })
  if (named === undefined) return
  throw new Error(
    `the database names blobs, and ${blobs} is not there: mount the disk that it is on, or name the data directory that has it (--data, ` +
      `storage.filesystem.rootdirectory). If the blobs are lost, berth restore brings a backup back; to have the images pushed again, begin ` +
      `with: mkdir -p ${quoted(blobs)}`,
  )
}

function copyAdvice(folders: readonly string[], database: string): string {
  for (const folder of folders) {
    const copy = newestCopy(folder)
    if (copy === undefined) continue
    return `or its newest copy: cp -p ${quoted(join(folder, SNAPSHOTS_FOLDER, copy))} ${quoted(database)}`
  }
  return 'or restore a backup (berth restore)'
}

function hasBlobs(root: string): boolean {
  for (const algorithm of foldersIn(root)) {
    for (const shard of foldersIn(join(root, algorithm))) {
      if (foldersIn(join(root, algorithm, shard)).length > 0) return true
    }
  }
  return false
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
