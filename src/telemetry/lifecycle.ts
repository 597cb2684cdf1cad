/** How far the program is between its start and its end. */
export interface Lifecycle {
  /** Whether it has ever been ready to serve. */
  readonly started: boolean
  /** Why it does not want requests now; undefined: it does. */
  readonly obstacle: string | undefined
  /** All listeners are open. */
  start(): void
  /** It is about to end, and lets requests finish. */
  stop(): void
  /** Something must come to its end first (an adoption). @returns what ends it. */
  hold(reason: string): () => void
}

export function createLifecycle(): Lifecycle {
  const holds = new Set<{ reason: string }>()
  let started = false
  let stopping = false
  let everReady = false

  function obstacle(): string | undefined {
    if (stopping) return 'the server is stopping'
    const [hold] = holds
    if (hold !== undefined) return hold.reason
    return started ? undefined : 'the server is starting'
  }

  return {
    get started() {
      everReady ||= obstacle() === undefined
      return everReady
    },
    get obstacle() {
      return obstacle()
    },
    start() {
      started = true
    },
    stop() {
      stopping = true
    },
    hold(reason) {
      const hold = { reason }
      holds.add(hold)
      return () => holds.delete(hold)
    },
  }
}
