import { workerUrl } from '../threads/worker-program.ts'
import { StorageError } from './storage.ts'
import type { WriteReply, WriteRequest, WriteResult } from './write-protocol.ts'

/** A request without its number, which the thread gives. */
type Unnumbered<R> = R extends unknown ? Omit<R, 'call'> : never
export type ThreadRequest = Unnumbered<Exclude<WriteRequest, { kind: 'more' }>>

/** A conversation with a Worker. */
export interface Conversation {
  readonly call: number
  /** Settles with its end. */
  readonly result: Promise<WriteResult>
}

/** One Worker, started when first needed and again after it died. */
export interface WriteThread {
  /** Conversations that have not ended. */
  readonly busy: number
  start(request: ThreadRequest, transfer?: ArrayBuffer[], onWritten?: (bytes: number) => void): Conversation
  more(call: number, batch: { chunks: Uint8Array[]; last: boolean }, transfer: ArrayBuffer[]): void
  /** Waits for what runs, then ends the Worker; everything that comes later fails. */
  close(): Promise<void>
}

interface Pending {
  resolve(result: WriteResult): void
  reject(error: StorageError): void
  written(bytes: number): void
}

export function createWriteThread(): WriteThread {
  const pending = new Map<number, Pending>()
  let worker: Worker | undefined
  let calls = 0
  let closed = false
  const idle: (() => void)[] = []

  const settle = (call: number): Pending | undefined => {
    const entry = pending.get(call)
    pending.delete(call)
    if (pending.size === 0) {
      // Only a thread with work to do keeps the process alive.
      worker?.unref()
      for (const resolve of idle.splice(0)) resolve()
    }
    return entry
  }

  const receive = (message: WriteReply) => {
    if (message.kind === 'written') pending.get(message.call)?.written(message.bytes)
    else if (message.kind === 'done') settle(message.call)?.resolve(message.result)
    else settle(message.call)?.reject(new StorageError(message.fault, message.message))
  }

  const die = (dead: Worker, message: string) => {
    if (dead !== worker) return
    worker = undefined
    dead.terminate()
    for (const call of [...pending.keys()]) {
      settle(call)?.reject(new StorageError('failed', `a storage thread died: ${message}`))
    }
  }

  const living = (): Worker => {
    if (closed) throw new StorageError('failed', 'the storage is closed')
    if (worker !== undefined) return worker
    const fresh = new Worker(workerUrl('storage/write-worker'))
    fresh.onmessage = (event: MessageEvent<WriteReply>) => receive(event.data)
    fresh.onerror = (event) => {
      event.preventDefault()
      die(fresh, event.message)
    }
    fresh.addEventListener('close', () => die(fresh, 'it ended'))
    worker = fresh
    return fresh
  }

  return {
    get busy() {
      return pending.size
    },
    start(request, transfer = [], onWritten = () => {}) {
      const thread = living()
      const call = ++calls
      const { promise, resolve, reject } = Promise.withResolvers<WriteResult>()
      // The one who asked may look at the result only later; a fault before that is not unhandled.
      promise.catch(() => {})
      pending.set(call, { resolve, reject, written: onWritten })
      if (pending.size === 1) thread.ref()
      thread.postMessage({ ...request, call } satisfies WriteRequest, transfer)
      return { call, result: promise }
    },
    more(call, batch, transfer) {
      if (pending.has(call)) worker?.postMessage({ kind: 'more', call, ...batch } satisfies WriteRequest, transfer)
    },
    async close() {
      closed = true
      if (pending.size > 0) await new Promise<void>((resolve) => idle.push(resolve))
      const last = worker
      worker = undefined
      last?.terminate()
    },
  }
}
