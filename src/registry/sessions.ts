export interface Sessions {
  /**
   * Runs `work` alone for this id. A work that runs already is told to stop by its signal and waited for;
   * of several that wait, each is followed by the next, in order.
   */
  exclusive<T>(id: string, work: (turn: Turn) => Promise<T>): Promise<T>
  /** As `exclusive`, for who must not cut another one short: undefined, without a wait, where a work runs or waits. */
  ifIdle<T>(id: string, work: (turn: Turn) => Promise<T>): Promise<T> | undefined
  /** Whether a work runs or waits. */
  isBusy(id: string): boolean
}

export interface Turn {
  signal: AbortSignal
  /** Aborts the signal. */
  interrupt(reason: unknown): void
}

interface Running {
  controller: AbortController
  done: Promise<unknown>
}

export function createSessions(): Sessions {
  const turns = new Map<string, Running>()

  async function exclusive<T>(id: string, work: (turn: Turn) => Promise<T>): Promise<T> {
    const previous = turns.get(id)
    const controller = new AbortController()
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const running: Running = { controller, done }
    turns.set(id, running)
    try {
      if (previous !== undefined) {
        previous.controller.abort(new Error('another request took over this upload'))
        await previous.done
      }
      return await work({ signal: controller.signal, interrupt: (reason) => controller.abort(reason) })
    } finally {
      resolve()
      if (turns.get(id) === running) turns.delete(id)
    }
  }

  return {
    exclusive,
    ifIdle: (id, work) => (turns.has(id) ? undefined : exclusive(id, work)),
    isBusy: (id) => turns.has(id),
  }
}
