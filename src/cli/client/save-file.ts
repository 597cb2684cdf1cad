import { renameSync, rmSync, writeFileSync } from 'node:fs'

/** Under its name there is the whole file, or what was there before. @throws Error with a text for the user */
export function saveFile(path: string, data: string | Uint8Array): void {
  const draft = `${path}.${process.pid}.part`
  try {
    writeFileSync(draft, data, { flag: 'wx' })
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`cannot write ${path}: ${reason}`, { cause: error })
  }
}
