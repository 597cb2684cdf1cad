import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '../storage/fault.ts'
import { ExportError } from './export-error.ts'

/** Files of an export under their final names, which a file only ever bears when it is whole. */
export interface Places {
  /**
   * Gives the blob's file at `from` a second name, `to`; where the file system cannot do that, copies and syncs it.
   * `missing`: there is no such file, or it has another size than the row says.
   */
  blob(from: string, to: string, size: number, onBytes: (count: number) => void): Promise<Placed>
  /** Writes `bytes`, unless just these are there. Not synced: see `syncFileSystem`. */
  bytes(to: string, bytes: Uint8Array | string): Placed
}

export type Placed = 'linked' | 'copied' | 'present' | 'missing'

/** Where a second name cannot be given, but a copy may do. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'])
const CHUNK = 4 * 1024 * 1024

/** `temporary` is a folder of the same file system as all targets, and holds nothing else. `dryRun` looks, and writes nothing. */
export function createPlaces({ temporary, dryRun }: { temporary: string; dryRun: boolean }): Places {
  let count = 0
  const newName = () => join(temporary, String(++count))

  return {
    async blob(from, to, size, onBytes) {
      const source = lookAt(from)
      if (source?.size !== size) return 'missing'
      const target = lookAt(to)
      // In one folder are the versions of one blob, of which the row names the one that is known to be right.
      const isVersion = dirname(from) === dirname(to)
      if (target !== undefined && (isSame(source, target) || (target.size === size && !isVersion))) return 'present'
      if (dryRun) return canLink(source, to) ? 'linked' : 'copied'
      const name = newName()
      try {
        // A second name stands for the whole at once; only what replaces something comes by way of another one.
        if (target === undefined && link(from, to)) return 'linked'
        const isLinked = target !== undefined && link(from, name)
        if (!isLinked) await copy(from, name, size, onBytes)
        inFolder(to, () => renameSync(name, to))
        return isLinked ? 'linked' : 'copied'
      } catch (error) {
        remove(name)
        // It went away since it was looked at.
        if (errnoOf(error) === 'ENOENT' && lookAt(from) === undefined) return 'missing'
        throw error
      }
    },

    bytes(to, bytes) {
      const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
      if (lookAt(to)?.size === content.byteLength && Buffer.compare(readFileSync(to), content) === 0) return 'present'
      if (dryRun) return 'copied'
      const name = newName()
      try {
        writeWhole(name, content, false)
        inFolder(to, () => renameSync(name, to))
      } catch (error) {
        remove(name)
        throw error
      }
      return 'copied'
    },
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev
}

/** As far as can be told without doing it: both are on one file system. */
function canLink(source: Stats, to: string): boolean {
  for (let folder = dirname(to); ; folder = dirname(folder)) {
    const found = lookAt(folder)
    if (found !== undefined) return found.dev === source.dev
    if (folder === dirname(folder)) return false
  }
}

function link(from: string, to: string): boolean {
  try {
    inFolder(to, () => linkSync(from, to))
    return true
  } catch (error) {
    if (NO_LINK.has(errnoOf(error) ?? '')) return false
    throw error
  }
}

/** Copied bytes are synced before they get their name: whoever repeats the export takes a file of the right size for whole. */
async function copy(from: string, to: string, size: number, onBytes: (count: number) => void): Promise<void> {
  let copied = 0
  const source = await open(from, 'r')
  try {
    const target = await open(to, 'wx')
    try {
      const buffer = new Uint8Array(Math.min(CHUNK, Math.max(size, 1)))
      for (;;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.byteLength)
        if (bytesRead === 0) break
        for (let done = 0; done < bytesRead; ) {
          const { bytesWritten } = await target.write(buffer, done, bytesRead - done)
          done += bytesWritten
        }
        copied += bytesRead
        onBytes(bytesRead)
      }
      if (copied !== size) throw new ExportError(`${from} changed while it was copied`)
      await target.sync()
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** A new file with just these bytes, synced if `durable`. */
export function writeWhole(path: string, bytes: Uint8Array, durable: boolean): void {
  const file = openSync(path, 'wx')
  try {
    for (let done = 0; done < bytes.byteLength; ) done += writeSync(file, bytes, done, bytes.byteLength - done)
    if (durable) fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Does what gives `path` its name; makes the folder first where there is none. */
export function inFolder(path: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirSync(dirname(path), { recursive: true })
    work()
  }
}

/** The first error is the one that tells what happened. */
function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It was never made, or goes with its folder at the next run.
  }
}

/** What stands in a file by which a folder is known again; undefined when there is none, or one that is no JSON. */
export function readJson(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
