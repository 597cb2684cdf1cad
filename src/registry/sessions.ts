export interface Sessions {
  /**
   * Runs `work` alone for this id. A work that runs already is told to stop by its signal and waited for;
   * of several that wait, each is followed by the next, in order.
   */
  exclusive<T>(id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>
}

interface Turn {
  controller: AbortController
  done: Promise<unknown>
}

export function createSessions(): Sessions {
  const turns = new Map<string, Turn>()
  return {
    async exclusive(id, work) {
      const previous = turns.get(id)
      const controller = new AbortController()
      const { promise: done, resolve } = Promise.withResolvers<void>()
      const turn: Turn = { controller, done }
      turns.set(id, turn)
      try {
        if (previous !== undefined) {
          previous.controller.abort(new Error('another request took over this upload'))
          await previous.done
        }
        return await work(controller.signal)
      } finally {
        resolve()
        if (turns.get(id) === turn) turns.delete(id)
      }
    },
  }
}
