/** A name in an image, as a path below its root: no empty parts, no `.` and no `..`; empty for the root itself. */
export interface SafeName {
  path: string
  /** Whether it leads out of the root, where it was stopped. */
  leaves: boolean
}

/** `/etc//passwd`, `./etc/passwd`, `../../etc/passwd` → `etc/passwd`. */
export function safeName(name: string): SafeName {
  const parts: string[] = []
  let leaves = false
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) leaves = true
  }
  return { path: parts.join('/'), leaves }
}

/** `a/b` → `a`; empty where that is the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0))
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function join(parent: string, base: string): string {
  return parent === '' ? base : `${parent}/${base}`
}

/** How many links are followed in one name, as Linux does (path_resolution(7)). */
export const MAX_LINKS = 40

/** Characters of a path, links followed; no path that Linux takes is longer (PATH_MAX). */
export const MAX_PATH = 4096
