import { isUtf8 } from 'node:buffer'
import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { isBlobFileName, isBlobFolder } from './blob-path.ts'
import { BLOBS_ROOT } from './distribution-path.ts'
import { errnoOf, storageError } from './fault.ts'
import { type ListedObject, StorageError, type Stranger, type Surveyed, type UnreadableFolder } from './storage.ts'

/**
 * Every blob's file below `root`, one shard (1/256 of all) in memory at a time. What goes meanwhile may be missing.
 * @throws StorageError where a folder cannot be read
 */
export async function* listBlobs(root: string): AsyncIterable<ListedObject> {
  for await (const found of surveyBlobs(root)) {
    if (found.kind === 'unreadable') throw new StorageError(found.fault, found.message)
    if (found.kind !== 'object') continue
    const { kind: _, ...object } = found
    yield object
  }
}

/** As `listBlobs`, with what lies among the blobs and is none, and with folders that cannot be read, of which nothing else is told. */
export async function* surveyBlobs(root: string): AsyncIterable<Surveyed> {
  const algorithms = await lookInto(root, BLOBS_ROOT)
  yield* algorithms.others
  for (const algorithm of algorithms.entries) {
    const top = `${BLOBS_ROOT}/${algorithm.name}`
    if (!algorithm.isDirectory()) {
      yield* stranger(root, top, algorithm)
      continue
    }
    const shards = await lookInto(root, top)
    yield* shards.others
    for (const shard of shards.entries) yield* surveyShard(root, algorithm.name, shard)
  }
}

async function* surveyShard(root: string, algorithm: string, shard: Dirent): AsyncIterable<Surveyed> {
  const path = `${BLOBS_ROOT}/${algorithm}/${shard.name}`
  if (!shard.isDirectory()) return yield* stranger(root, path, shard)
  const folders = await lookInto(root, path)
  yield* folders.others
  for (const folder of folders.entries) {
    const place = `${path}/${folder.name}`
    if (!folder.isDirectory() || !isBlobFolder(algorithm, shard.name, folder.name)) {
      yield* stranger(root, place, folder)
      continue
    }
    const files = await lookInto(root, place)
    yield* files.others
    for (const entry of files.entries) {
      const key = `${place}/${entry.name}`
      if (!entry.isFile() || !isBlobFileName(entry.name)) {
        yield* stranger(root, key, entry)
        continue
      }
      const found = await lookAt(root, key)
      if (found === undefined) continue
      if ('kind' in found) {
        // So is all else in it.
        yield found
        break
      }
      yield {
        ...{ kind: 'object', key, digest: `${algorithm}:${folder.name}` as Digest },
        ...{ size: found.size, modified: found.mtime },
      }
    }
  }
}

/** What is in the folder of uploads and no upload. */
export async function* surveyUploads(root: string, folder: string, id: RegExp): AsyncIterable<Surveyed> {
  const { entries, others } = await lookInto(root, folder)
  yield* others
  for (const entry of entries) {
    if (!entry.isFile() || !id.test(entry.name)) yield* stranger(root, `${folder}/${entry.name}`, entry)
  }
}

async function* stranger(root: string, path: string, entry: Dirent): AsyncIterable<Surveyed> {
  const found = await lookAt(root, path)
  if (found === undefined) return
  if ('kind' in found) yield found
  else yield { kind: 'stranger', path, what: whatIs(entry), size: found.size, modified: found.mtime }
}

function whatIs(entry: Dirent): Stranger['what'] {
  if (entry.isSymbolicLink()) return 'symbolic link'
  if (entry.isDirectory()) return 'folder'
  return entry.isFile() ? 'file' : 'other'
}

/** What the runtime puts in the place of bytes that are no UTF-8. */
const NO_UTF8 = '\ufffd'

/** What is in a folder below `root`: what can be asked for by its name, and `others`: what cannot, or the folder that cannot be read. */
async function lookInto(root: string, path: string): Promise<{ entries: Dirent[]; others: Surveyed[] }> {
  let entries: Dirent[]
  try {
    entries = await entriesOf(join(root, path))
  } catch (error) {
    return { entries: [], others: [unreadable(path, error)] }
  }
  const isDoubtful = ({ name }: Dirent) => name.includes(NO_UTF8)
  if (!entries.some(isDoubtful)) return { entries, others: [] }
  const names = (await unlessGone(readdir(join(root, path), { encoding: 'buffer' }))) ?? []
  const nameless = names.filter((name) => !isUtf8(name))
  const others = nameless.map(
    (name): Surveyed => ({
      ...{ kind: 'stranger', path: `${path}/${escaped(name)}`, what: 'other', size: 0, modified: undefined },
    }),
  )
  const named = new Set(names.filter(isUtf8).map(String))
  return { entries: entries.filter((entry) => !isDoubtful(entry) || named.has(entry.name)), others }
}

/** Undefined: it is gone. A folder that gives names, and not what they stand for, is as one that gives nothing. */
async function lookAt(root: string, path: string): Promise<Stats | UnreadableFolder | undefined> {
  try {
    return await unlessGone(lstat(join(root, path)))
  } catch (error) {
    return unreadable(dirname(path), error)
  }
}

/** @throws StorageError for what says nothing of the folder */
function unreadable(path: string, error: unknown): UnreadableFolder {
  if (!(error instanceof StorageError) || (error.fault !== 'forbidden' && error.fault !== 'io')) throw error
  return { kind: 'unreadable', path, fault: error.fault, message: error.message }
}

/** As `ls -b` shows it. */
function escaped(name: Buffer): string {
  const byte = (value: number) =>
    value > 0x20 && value < 0x7f && value !== 0x5c
      ? String.fromCharCode(value)
      : `\\${value.toString(8).padStart(3, '0')}`
  return [...name].map(byte).join('')
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
