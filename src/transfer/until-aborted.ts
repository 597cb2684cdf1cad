import { setImmediate } from 'node:timers/promises'

/** Milliseconds in which whoever reads what is always there lets nobody else have a turn. */
const TURN = 50

/** The same chunks; the next one is not waited for any longer once `signal` is aborted. @throws its reason */
export async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  if (signal === undefined) {
    yield* chunks
    return
  }
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => {})
  const stop = () => reject(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  const iterator = chunks[Symbol.asyncIterator]()
  let since = performance.now()
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), promise])
      if (done === true) return
      yield value
      // A file that is in memory never lets a signal of the system come through.
      if (performance.now() - since < TURN) continue
      await setImmediate()
      since = performance.now()
    }
  } finally {
    signal.removeEventListener('abort', stop)
    // One that waits for its next chunk would not end before that.
    const end = iterator.return?.()
    if (!signal.aborted) await end
    else end?.catch(() => {})
  }
}
