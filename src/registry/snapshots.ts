/** A snapshot of the database that somebody takes elsewhere, and with it the bytes of the blobs that it names. */
export interface Snapshot {
  id: string
  /** `failed`: see `problem`; nothing is held then. */
  state: 'writing' | 'ready' | 'failed'
  /** Absolute; the file is there while it is `ready`. */
  path: string
  /** When it began, in milliseconds since the epoch: it has all that was acknowledged before. */
  at: number
  problem: string | undefined
}

/**
 * Snapshots for backups. While there is one, the collector unlinks nothing: whatever the snapshot names keeps its bytes.
 * Garbage is still found and marked meanwhile, and goes afterwards.
 */
export interface Snapshots {
  /** Undefined when there are too many already. */
  begin(): Snapshot | undefined
  /** Whoever takes it asks for it from time to time, and so keeps it: one that nobody asked for in `LEASE` ends. */
  find(id: string): Snapshot | undefined
  /** Resolves to whether there was one. */
  end(id: string): Promise<boolean>
  isHolding(): boolean
  /** Waits for those that are being written, and ends all. */
  stop(): Promise<void>
}

/** Milliseconds after which a snapshot that nobody asks for ends: its taker was killed. */
export const LEASE = 5 * 60_000
/** Snapshots at the same time: each is as large as the database. */
const MOST = 4

interface Held {
  snapshot: Snapshot
  askedAt: number
  writing: Promise<void>
}

export function createSnapshots(deps: {
  /** Where the file of a snapshot belongs. */
  pathOf: (id: string) => string
  write: (path: string) => Promise<void>
  remove: (path: string) => Promise<void>
  onError: (error: unknown) => void
  now: () => number
  newId: () => string
}): Snapshots {
  const { pathOf, write, remove, onError, now, newId } = deps
  const held = new Map<string, Held>()

  async function end(id: string): Promise<boolean> {
    const found = held.get(id)
    if (found === undefined) return false
    held.delete(id)
    await found.writing
    await remove(found.snapshot.path).catch(onError)
    return true
  }

  function endForgotten(): void {
    const before = now() - LEASE
    for (const [id, { askedAt, snapshot }] of held) {
      if (askedAt < before && snapshot.state !== 'writing') void end(id)
    }
  }

  return {
    begin() {
      endForgotten()
      if (held.size >= MOST) return undefined
      const id = newId()
      const snapshot: Snapshot = { id, state: 'writing', path: pathOf(id), at: now(), problem: undefined }
      const writing = write(snapshot.path).then(
        () => {
          snapshot.state = 'ready'
        },
        (error) => {
          onError(error)
          snapshot.state = 'failed'
          snapshot.problem = error instanceof Error ? error.message : String(error)
        },
      )
      held.set(id, { snapshot, askedAt: snapshot.at, writing })
      return { ...snapshot }
    },
    find(id) {
      endForgotten()
      const found = held.get(id)
      if (found === undefined) return undefined
      found.askedAt = now()
      return { ...found.snapshot }
    },
    end,
    isHolding() {
      endForgotten()
      return [...held.values()].some(({ snapshot }) => snapshot.state !== 'failed')
    },
    async stop() {
      await Promise.all([...held.keys()].map(end))
    },
  }
}
