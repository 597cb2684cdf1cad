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
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), promise])
      if (done === true) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', stop)
    // One that waits for its next chunk would not end before that.
    const end = iterator.return?.()
    if (!signal.aborted) await end
    else end?.catch(() => {})
  }
}
