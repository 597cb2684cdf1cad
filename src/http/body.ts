import { RegistryError } from '../oci/error.ts'

/** Milliseconds that a sender may pause in the middle of a body. */
const IDLE = 60_000

/** The sender paused for too long. */
export class SlowBody extends Error {
  constructor() {
    super('no bytes for too long')
    this.name = 'SlowBody'
  }
}

/**
 * The request's body, chunk by chunk, as fast as it is taken. Throws SlowBody when the sender pauses for too long, and
 * the signal's reason when that is aborted.
 */
export async function* streamBody(request: Request, signal?: AbortSignal, idleMs = IDLE): AsyncIterable<Uint8Array> {
  if (request.body === null) return
  const reader = request.body.getReader()
  let ended: unknown
  const end = (reason: unknown) => {
    ended ??= reason
    // Ends a read that is pending. Not awaited: it may wait for a sender that hangs.
    void reader.cancel().catch(() => {})
  }
  const onAbort = () => end(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  // Only the sender's time counts: whoever takes the chunks may wait for a slow disk.
  let isReading = true
  const watchdog = setTimeout(() => isReading && end(new SlowBody()), idleMs)
  try {
    while (signal?.aborted !== true) {
      const next = await reader.read()
      if (ended !== undefined) break
      if (next.done) return
      isReading = false
      yield next.value
      isReading = true
      watchdog.refresh()
    }
    throw ended ?? signal?.reason
  } finally {
    clearTimeout(watchdog)
    signal?.removeEventListener('abort', onAbort)
    void reader.cancel().catch(() => {})
  }
}

/** A body that had to be whole ended early: the client went away, or was too slow. */
export class InterruptedBody extends Error {
  constructor(cause: unknown) {
    super('the request body ended early', { cause })
    this.name = 'InterruptedBody'
  }
}

/** The whole body; undefined when it has more than `limit` bytes. @throws InterruptedBody */
export async function readWhole(request: Request, limit: number, idleMs = IDLE): Promise<Uint8Array | undefined> {
  if (Number(request.headers.get('content-length') ?? 0) > limit) return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of streamBody(request, undefined, idleMs)) {
      size += chunk.byteLength
      if (size > limit) return undefined
      chunks.push(chunk)
    }
  } catch (error) {
    throw new InterruptedBody(error)
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
}

/**
 * The whole body of a manifest, which may have at most `limit` bytes.
 * @throws RegistryError MANIFEST_TOO_LARGE
 * @throws InterruptedBody
 */
export async function readBody(request: Request, limit: number, idleMs = IDLE): Promise<Uint8Array> {
  const body = await readWhole(request, limit, idleMs)
  if (body === undefined) throw new RegistryError('MANIFEST_TOO_LARGE', { detail: `at most ${limit} bytes` })
  return body
}
