import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { writeDurably } from '../files/durable.ts'
import { makeDirectories } from '../storage/durable.ts'
import { errnoOf } from '../storage/fault.ts'

/** What Berth keeps in the data directory besides the database and blobs: keys and certificates of its own. */
const KEPT = ['berth-token-ring.json', 'berth-token.key', 'berth-token.crt', 'berth-tls', 'berth-admin-password']
/** Reads before it gives up to find them at rest. */
const ATTEMPTS = 20

export interface KeptFile {
  /** Below the data directory. */
  path: string
  mode: number
  text: string
}

/** All of them, as they were at one moment: while a key is rotated, several files change one after the other. */
export function readKept(directory: string): KeptFile[] {
  let before = readAll(directory)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const again = readAll(directory)
    if (JSON.stringify(again) === JSON.stringify(before)) return again
    before = again
  }
  return before
}

/** Each is whole or not there, with the mode that it had, under `directory`. */
export async function writeKept(directory: string, files: readonly KeptFile[]): Promise<void> {
  for (const { path, mode, text } of files) {
    const folder = dirname(join(directory, path))
    makeDirectories(folder, 0o700)
    await writeDurably(folder, basename(path), text, mode)
  }
}

function readAll(directory: string): KeptFile[] {
  return KEPT.flatMap((name) => readBelow(directory, name))
}

function readBelow(directory: string, path: string): KeptFile[] {
  try {
    const found = lstatSync(join(directory, path))
    if (found.isDirectory()) {
      return readdirSync(join(directory, path))
        .sort()
        .flatMap((name) => (name.startsWith('.') ? [] : readBelow(directory, `${path}/${name}`)))
    }
    if (!found.isFile()) return []
    return [{ path, mode: found.mode & 0o777, text: readFileSync(join(directory, path), 'utf8') }]
  } catch (error) {
    // Gone since it was listed, or never there.
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
