/** What waits in memory is written a moment later; one write at a time. */
export interface DelayedWrite {
  /** Unless one is due already, or under way. */
  schedule(): void
  /** Now, unless a write is under way. */
  begin(): void
  /** Writes what is there, with what a write under way did not take along. */
  flush(): Promise<void>
  /** As `flush`; nothing is written by itself after that. */
  close(): Promise<void>
}

/** `delay` in milliseconds; `write` never rejects. What is left after a write is due again. */
export function createDelayedWrite(delay: number, write: () => Promise<void>, isWaiting: () => boolean): DelayedWrite {
  let timer: Timer | undefined
  let writing: Promise<void> | undefined
  let closed = false

  function schedule(): void {
    if (!closed && writing === undefined) timer ??= setTimeout(() => void begin(), delay)
  }

  function begin(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    writing ??= write().finally(() => {
      writing = undefined
      if (isWaiting()) schedule()
    })
    return writing
  }

  async function flush(): Promise<void> {
    await writing
    await begin()
  }

  return {
    schedule,
    begin: () => void begin(),
    flush,
    close() {
      closed = true
      return flush()
    },
  }
}
