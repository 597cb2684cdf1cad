import { realpathSync } from 'node:fs'
import { sep } from 'node:path'

/** How two folders lie, whether or not they are there yet: `nested` is one within the other. Undefined: apart. */
export function overlapOf(one: string, other: string): 'same' | 'nested' | undefined {
  const first = nearestRealPath(one)
  const second = nearestRealPath(other)
  if (first === second) return 'same'
  return first.startsWith(`${second}${sep}`) || second.startsWith(`${first}${sep}`) ? 'nested' : undefined
}

/** With symbolic links followed, as far as the path exists. */
function nearestRealPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const at = path.lastIndexOf(sep)
    const parent = at <= 0 ? sep : path.slice(0, at)
    if (parent === path) return path
    return `${nearestRealPath(parent).replace(/\/$/, '')}${path.slice(at)}`
  }
}
