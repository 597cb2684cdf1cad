import { existsSync, lstatSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isBlobKey } from './blob-path.ts'
import { errnoOf, storageError } from './fault.ts'
import { freshName, readName } from './quarantine-name.ts'
import type { ScanThread } from './scan-thread.ts'
import { type Quarantine, StorageError } from './storage.ts'

/** Below the data directory. */
export const QUARANTINE_FOLDER = 'berth-quarantine'

/** Files in a folder of their own, named so that an operator knows what each was. */
export function createQuarantine(root: string, scan: ScanThread): Quarantine {
  const folder = join(root, QUARANTINE_FOLDER)

  const pathOf = (name: string): string => {
    if (readName(name) !== undefined) return join(folder, name)
    throw new StorageError('failed', 'not a name in the quarantine')
  }

  return {
    async put(key, digest, stamp) {
      const from = join(root, key)
      if (!from.startsWith(`${root}/`)) throw new StorageError('failed', 'not in this storage')
      const name = freshName({ key, digest, stamp }, (taken) => existsSync(join(folder, taken)))
      return (await scan.move(inTheWay(from), join(folder, name))) ? name : undefined
    },
    async *list() {
      for (const name of await namesIn(folder)) {
        const read = readName(name)
        const entry = lstatSync(join(folder, name), { throwIfNoEntry: false })
        if (entry !== undefined && read !== undefined) yield { name, ...read, size: entry.size }
      }
    },
    async hash(name, algorithm, onBytes) {
      return await scan.hash(pathOf(name), algorithm, onBytes)
    },
    async restore(name, key) {
      if (!isBlobKey(key)) throw new StorageError('failed', 'not a key of this storage')
      return await scan.place(pathOf(name), root, key)
    },
    async remove(name) {
      const path = pathOf(name)
      try {
        const entry = lstatSync(path, { throwIfNoEntry: false })
        if (entry === undefined) return false
        // What lay in a file's place, or where nothing belongs, may be a folder with whatever is in it.
        if (entry.isDirectory()) rmSync(path, { recursive: true })
        else unlinkSync(path)
        return true
      } catch (error) {
        throw storageError(error, 'remove what is in the quarantine')
      }
    },
    place: (name) => `${QUARANTINE_FOLDER}/${name}`,
  }
}

/** The object, or what is in the place of its folder, where nothing could be put then. */
function inTheWay(path: string): string {
  const place = dirname(path)
  const isObstacle = lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === false && !isFolder(place)
  return isObstacle ? place : path
}

function isFolder(link: string): boolean {
  try {
    return statSync(link).isDirectory()
  } catch {
    // It leads nowhere, or to itself.
    return false
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw storageError(error, 'list the quarantine')
  }
}
