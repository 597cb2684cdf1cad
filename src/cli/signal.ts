export interface Signals {
  /** Aborted by the first SIGTERM or SIGINT. */
  ended: AbortSignal

  /**
   * Resolves at the first SIGTERM or SIGINT since `listenToSignals`; a second one ends the process at once. Until then each
   * SIGHUP does the work, which must not reject; one of before is made up for.
   */
  untilEnd(onHangup: () => Promise<void>): Promise<void>
}

/** From now on no signal ends the process by itself. */
export function listenToSignals(): Signals {
  const end = Promise.withResolvers<void>()
  const ended = new AbortController()
  let ends = 0
  let hangups = 0
  let onHangup: (() => Promise<void>) | undefined
  const onEnd = () => {
    ends++
    if (ends > 1) process.exit(130)
    ended.abort(new Error('stopped by a signal'))
    end.resolve()
  }
  process.on('SIGTERM', onEnd)
  process.on('SIGINT', onEnd)
  process.on('SIGHUP', () => {
    hangups++
    void onHangup?.()
  })
  return {
    ended: ended.signal,
    async untilEnd(work) {
      onHangup = work
      if (hangups > 0) await work()
      await end.promise
    },
  }
}
