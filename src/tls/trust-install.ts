import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { SYSTEM_STORES, type TrustFile } from './trust-files.ts'

export interface Installed {
  path: string
  /** `kept`: there is something else, which was left alone. */
  outcome: 'written' | 'same' | 'replaced' | 'kept'
}

/**
 * Writes the files below `root` (`/` for this machine). What an authority's file held before stays beside it as `.old`.
 * @throws Error before anything is written, when a symbolic link leads out of `root`: in an image it means the image's own
 * folder, and here that of this machine.
 */
export function installTrust(files: readonly TrustFile[], root: string): Installed[] {
  for (const { path } of files) requireBelow(root, join(root, path))
  return files.map(({ path, content, isSettings }) => {
    const target = join(root, path)
    const before = readText(target)
    if (before === content) return { path: target, outcome: 'same' as const }
    if (before !== undefined && isSettings) return { path: target, outcome: 'kept' as const }
    mkdirSync(dirname(target), { recursive: true })
    if (before !== undefined) renameSync(target, `${target}.old`)
    // A reader finds the whole file or none.
    rmSync(`${target}.new`, { force: true })
    writeFileSync(`${target}.new`, content, { mode: 0o644, flag: 'wx' })
    renameSync(`${target}.new`, target)
    return { path: target, outcome: before === undefined ? ('written' as const) : ('replaced' as const) }
  })
}

function requireBelow(root: string, target: string): void {
  const top = existsSync(root) ? realpathSync(root) : resolve(root)
  for (let path = resolve(target); path !== resolve(root); path = dirname(path)) {
    const place = placeOf(path)
    if (place === undefined) continue
    const way = relative(top, place)
    if (way !== '..' && !way.startsWith(`..${sep}`)) return
    throw new Error(`nothing was written: by symbolic links ${path} leads out of ${root}, to ${place}`)
  }
}

/** Where a path really is; undefined: there is nothing. A link to what is not there is taken at its word. */
function placeOf(path: string): string | undefined {
  if (existsSync(path)) return realpathSync(path)
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
  return isLink ? resolve(realpathSync(dirname(path)), readlinkSync(path)) : undefined
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
