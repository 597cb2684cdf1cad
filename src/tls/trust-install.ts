import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SYSTEM_STORES, type TrustFile } from './trust-files.ts'

export interface Installed {
  path: string
  /** `kept`: there is something else, which was left alone. */
  outcome: 'written' | 'same' | 'replaced' | 'kept'
}

/** Writes the files below `root` (`/` for this machine). What an authority's file held before stays beside it as `.old`. */
export function installTrust(files: readonly TrustFile[], root: string): Installed[] {
  return files.map(({ path, content, isSettings }) => {
    const target = join(root, path)
    const before = readText(target)
    if (before === content) return { path: target, outcome: 'same' as const }
    if (before !== undefined && isSettings) return { path: target, outcome: 'kept' as const }
    mkdirSync(dirname(target), { recursive: true })
    if (before !== undefined) renameSync(target, `${target}.old`)
    // A reader finds the whole file or none.
    writeFileSync(`${target}.new`, content, { mode: 0o644 })
    renameSync(`${target}.new`, target)
    return { path: target, outcome: before === undefined ? ('written' as const) : ('replaced' as const) }
  })
}

/** The store of the system below `root`, by its folder; undefined: none that is known. */
export function systemStore(root: string): (typeof SYSTEM_STORES)[number] | undefined {
  // update-ca-certificates makes its folder only where somebody needs it: its configuration tells as well.
  return SYSTEM_STORES.find(
    ({ directory, command }) =>
      existsSync(join(root, directory)) ||
      (command === 'update-ca-certificates' && existsSync(join(root, '/etc/ca-certificates.conf'))),
  )
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
