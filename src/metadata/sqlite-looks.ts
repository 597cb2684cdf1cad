import { workerUrl } from '../threads/worker-program.ts'
import type { LookAnswer, LookRequest } from './look-worker.ts'
import { MetadataError } from './metadata.ts'
import type { Nouns } from './nouns.ts'
import { fromFault } from './sqlite-calls.ts'
import type { OnError } from './sqlite-connection.ts'

/**
 * Queries that look at all that there is, and at one moment: each runs for as long as the registry is large, so that it has a
 * thread and a connection of its own, for which neither reads nor writes wait. The thread ends when nobody looks any more.
 */
export interface Looks {
  /** The noun's method, which only reads; one look at a time. */
  method<N extends keyof Nouns, M extends keyof Nouns[N] & string>(noun: N, method: M): Nouns[N][M]
  /**
   * The same of what is short in most registries, and asked again and again, for which no thread need be started: `brief` has it, until it
   * once took longer than others may wait for it.
   */
  unless<A extends unknown[], R>(brief: (...args: A) => Promise<R>, long: (...args: A) => Promise<R>): typeof brief
  /** Ends what is under way; those who wait hear of it. */
  close(): Promise<void>
}

/** Milliseconds for which a thread waits for another look. */
const IDLE = 1000
/** Milliseconds that others wait for a brief look. */
const BRIEF = 100

export function createLooks(path: string, onError?: OnError, clock = () => performance.now()): Looks {
  let last: Promise<unknown> = Promise.resolve()
  let thread: Worker | undefined
  let idle: Timer | undefined
  let isClosed = false
  let end = (_: MetadataError): void => {}
  const closed = () => new MetadataError('failed', 'the database is closed')

  async function look(request: LookRequest): Promise<unknown> {
    if (isClosed) throw closed()
    clearTimeout(idle)
    thread ??= new Worker(workerUrl('metadata/look-worker'))
    const worker = thread
    try {
      const answer = await new Promise<LookAnswer>((resolve, reject) => {
        end = reject
        worker.onmessage = ({ data }: MessageEvent<LookAnswer>) => resolve(data)
        worker.onerror = (event) => {
          event.preventDefault()
          stop()
          reject(new MetadataError('failed', `the thread that looks at the database failed: ${event.message}`))
        }
        worker.postMessage(request)
      })
      if (answer.ok) return answer.value
      const error = fromFault(answer.error)
      onError?.(error)
      throw error
    } finally {
      if (!isClosed) idle = setTimeout(stop, IDLE)
      idle?.unref()
    }
  }

  function stop(): void {
    clearTimeout(idle)
    thread?.terminate()
    thread = undefined
  }

  return {
    method<N extends keyof Nouns, M extends keyof Nouns[N] & string>(noun: N, method: M) {
      const forward = (...args: unknown[]) => {
        const mine = last.then(() => look({ path, call: { noun, method, args } }))
        last = mine.catch(() => {})
        return mine
      }
      return forward as unknown as Nouns[N][M]
    },
    unless(brief, long) {
      let isBrief = true
      return async (...args) => {
        if (!isBrief) return await long(...args)
        const began = clock()
        try {
          return await brief(...args)
        } finally {
          isBrief = clock() - began <= BRIEF
        }
      }
    },
    async close() {
      isClosed = true
      end(closed())
      await last
      stop()
    },
  }
}
