import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Small files that must be whole after a crash: keys, certificates, what goes with them. */

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Bytes first (synced), then the name (synced): a crash leaves the whole file or none. */
export async function writeDurably(directory: string, name: string, text: string, mode: number): Promise<void> {
  const temporary = join(directory, temporaryOf(name))
  try {
    const file = await open(temporary, 'w', mode)
    try {
      await file.chmod(mode)
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, join(directory, name))
  } catch (error) {
    // It may hold a private key that is wanted no more; the error that matters is the first.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** What a crash in the middle of `writeDurably` leaves behind. */
export function temporaryOf(name: string): string {
  return `.${name}.new`
}
