import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'

/** Where a server's data lie: a folder on the disk of the working directory, or one in memory. */
export type Medium = 'disk' | 'memory'

export interface Workplace {
  /** Media that can be had here. */
  media: readonly Medium[]
  /** A new, empty folder. */
  folder(medium: Medium, name: string): string
  /** Bytes free. */
  free(medium: Medium): number
  /** Ends `child` when the benchmark ends, however that comes. */
  own(child: Subprocess): void
  /** Kills what is left of the children and removes every folder. */
  clear(): void
}

const MEMORY = '/dev/shm'
const MEMORY_NEEDED = 8 * 1024 ** 3

/** Everything that the benchmark writes is in folders that are gone when it ends, by Ctrl-C too. */
export function openWorkplace(): Workplace {
  const roots = new Map<Medium, string>([['disk', mkdtempSync(join(process.cwd(), '.bench-'))]])
  if (hasRoom(MEMORY, MEMORY_NEEDED)) roots.set('memory', mkdtempSync(join(MEMORY, 'bench-')))
  const children = new Set<Subprocess>()
  let serial = 0

  const clear = () => {
    for (const child of children) child.kill('SIGKILL')
    children.clear()
    for (const root of roots.values()) rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  }
  process.on('exit', clear)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(130))
  }

  const rootOf = (medium: Medium): string => {
    const root = roots.get(medium)
    if (root === undefined) throw new Error(`no room in ${medium}`)
    return root
  }
  return {
    media: [...roots.keys()],
    folder: (medium, name) => {
      const folder = join(rootOf(medium), `${++serial}-${name}`)
      mkdirSync(folder, { recursive: true })
      return folder
    },
    free: (medium) => {
      const { bavail, bsize } = statfsSync(rootOf(medium))
      return bavail * bsize
    },
    own: (child) => {
      children.add(child)
      void child.exited.then(() => children.delete(child))
    },
    clear,
  }
}

function hasRoom(folder: string, bytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize >= bytes
  } catch {
    return false
  }
}
