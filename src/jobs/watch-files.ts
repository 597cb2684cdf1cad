import { statSync } from 'node:fs'

export interface FileWatch {
  /** Acts as if a file had changed. Resolves when `onChange` has run. */
  trigger(): Promise<void>
  stop(): void
}

export interface WatchOptions {
  /** Asked each time, for what is watched may change with the files. */
  paths: () => readonly string[]
  /** Never runs twice at once; a change meanwhile makes it run once more. Must not reject. */
  onChange: () => Promise<void>
  /** Milliseconds between two looks. */
  intervalMs?: number
}

/** A change is acted on within two looks, and so within half a second. */
const INTERVAL_MS = 200

/**
 * Looks at files again and again and tells when one of them has become another: its content, its inode (a rename in its
 * place, the swapped symbolic links of a mounted ConfigMap), its absence. Looking is a few system calls, and it sees what
 * notifications miss on network file systems and after a rename. A file must have stood still for one look before
 * anything happens, so that one which is being written is not read in the middle.
 */
export function watchFiles({ paths, onChange, intervalMs = INTERVAL_MS }: WatchOptions): FileWatch {
  /** What was last acted on, and what the last look saw. */
  let settled = lookAt(paths())
  let last = settled
  let running: Promise<void> | undefined
  let again = false

  function run(): Promise<void> {
    again = running !== undefined
    running ??= loop().finally(() => {
      running = undefined
    })
    return running
  }

  async function loop(): Promise<void> {
    do {
      again = false
      // Before the files are read: what changes while they are read is a change once more.
      const before = lookAt(paths())
      await onChange()
      // Files that are named only now were read just now.
      settled = new Map([...lookAt(paths())].map(([path, identity]) => [path, before.get(path) ?? identity]))
    } while (again)
  }

  function look(): void {
    if (running !== undefined) return
    const seen = lookAt(paths())
    const still = isSame(seen, last)
    last = seen
    if (still && !isSame(seen, settled)) void run()
  }

  const timer = setInterval(look, intervalMs)
  timer.unref()
  return { trigger: run, stop: () => clearInterval(timer) }
}

function lookAt(paths: readonly string[]): ReadonlyMap<string, string> {
  return new Map(paths.map((path) => [path, identityOf(path)]))
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([path, identity]) => b.get(path) === identity)
}

function identityOf(path: string): string {
  try {
    const { mtimeNs, ctimeNs, size, ino, dev } = statSync(path, { bigint: true })
    return `${mtimeNs} ${ctimeNs} ${size} ${ino} ${dev}`
  } catch {
    return 'not there'
  }
}
