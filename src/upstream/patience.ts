/** Bytes a second, below which an answer counts as one that never ends. */
const SLOWEST = 4096

/**
 * The same answer, whose body breaks off when the sender stops in the middle, or sends so slowly that it would never end. Only
 * the time that we wait for it counts: whoever reads at leisure may. `limitMs`: how long it may say nothing.
 */
export function withPatience(response: Response, limitMs: number): Response {
  if (response.body === null) return response
  const reader = response.body.getReader()
  let left = limitMs
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const since = performance.now()
        const { promise, reject } = Promise.withResolvers<never>()
        const timer = setTimeout(() => reject(new DOMException('the answer stops in the middle', 'TimeoutError')), left)
        try {
          const { done, value } = await Promise.race([reader.read(), promise])
          if (done) {
            controller.close()
            return
          }
          left = Math.min(limitMs, left - (performance.now() - since) + (value.byteLength * 1000) / SLOWEST)
          controller.enqueue(value)
        } catch (error) {
          void reader.cancel(error).catch(() => {})
          throw error
        } finally {
          clearTimeout(timer)
        }
      },
      async cancel(reason) {
        // What broke off already is no loss to whoever does not want it.
        await reader.cancel(reason).catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
  const { status, statusText, headers } = response
  return new Response(body, { status, statusText, headers })
}
