import { startWorker } from '../threads/worker-program.ts'
import { createDamage, type Damage } from './damage.ts'
import { MetadataError } from './metadata.ts'
import type { Nouns } from './nouns.ts'
import { type Call, type FromWorker, fromFault, type Mode, type Result, type ToWorker } from './sqlite-calls.ts'

/** The other end of `sqlite-worker.ts`: sends it the calls that are waiting, a batch at a time. */
export interface Client {
  /** The noun's method, run by the worker. */
  method<N extends keyof Nouns, M extends keyof Nouns[N] & string>(mode: Mode, noun: N, method: M): Nouns[N][M]
  /** Waits for the calls that were made before; later ones are refused. */
  close(): Promise<void>
}

/** Hears of every call that the worker runs. */
export interface CallMeter {
  /** Calls that were made and are not answered. */
  waiting: number
  /** @param milliseconds from the call to its answer */
  answered(mode: Mode, milliseconds: number, failed: boolean): void
}

/**
 * Called when the disk is full. True: there is some space again, and what failed for want of it, which left nothing, is tried
 * once more.
 */
export type NoSpace = () => boolean

export interface ClientOptions {
  meter?: CallMeter | undefined
  onNoSpace?: NoSpace | undefined
  damage?: Damage | undefined
  /** Where the thread that writes comes from: a new one unless told. */
  startThread?: (() => Worker) | undefined
}

/** A batch is one transaction: bounded, so that its first caller does not wait for ever longer ones. */
const BATCH_CALLS = 256
const BATCH_BYTES = 16 * 1024 * 1024

interface Waiting {
  call: Call
  bytes: number
  /** Of a clock that is never set back; 0 where nobody measures. */
  madeAt: number
  resolve(value: unknown): void
  reject(error: MetadataError): void
  /** Whether it failed for want of space and was tried again. */
  isAgain: boolean
}

/** Resolves when the database is open and its schema up to date. @throws MetadataError */
export async function startClient(
  path: string,
  now: number,
  {
    meter,
    onNoSpace = () => false,
    damage = createDamage(),
    startThread = () => startWorker('metadata/sqlite-worker'),
  }: ClientOptions = {},
): Promise<Client> {
  const worker = startThread()
  const waiting: Waiting[] = []
  const sent = new Map<number, Waiting>()
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let state: 'open' | 'closing' | MetadataError = 'open'
  let lastId = 0
  let busy = false

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data)
  worker.onerror = (event) => {
    event.preventDefault()
    fail(new MetadataError('failed', `the thread that writes to the database failed: ${event.message}`))
  }
  worker.addEventListener('close', () =>
    fail(new MetadataError('failed', 'the thread that writes to the database ended')),
  )

  function post(request: ToWorker): void {
    worker.postMessage(request)
  }

  function receive(reply: FromWorker): void {
    if (reply.kind === 'opened') opened.resolve()
    else if (reply.kind === 'refused') opened.reject(fromFault(reply.error))
    else if (reply.kind === 'closed') closed.resolve()
    else {
      const hasRoom = reply.results.some((result) => !result.ok && result.error.fault === 'no-space') && onNoSpace()
      for (const result of reply.results) settle(result, hasRoom)
      if (!reply.last) return
      busy = false
      flush()
    }
  }

  function settle(result: Result, hasRoom: boolean): void {
    const call = sent.get(result.id)
    sent.delete(result.id)
    if (call !== undefined && !result.ok && result.error.fault === 'no-space' && hasRoom && !call.isAgain) {
      call.isAgain = true
      waiting.push(call)
      return
    }
    if (call !== undefined) measure(call, !result.ok && result.error.fault !== 'denied')
    if (result.ok) {
      call?.resolve(result.value)
      return
    }
    const error = fromFault(result.error)
    damage.report(error)
    call?.reject(error)
  }

  function measure({ call, madeAt }: Waiting, failed: boolean): void {
    if (meter === undefined) return
    meter.waiting--
    meter.answered(call.mode, performance.now() - madeAt, failed)
  }

  /** What was sent may or may not have happened: it was not acknowledged. */
  function fail(error: MetadataError): void {
    if (state instanceof MetadataError) return
    state = error
    for (const call of [...sent.values(), ...waiting.splice(0)]) {
      measure(call, true)
      call.reject(error)
    }
    sent.clear()
    opened.reject(error)
    closed.resolve()
  }

  function flush(): void {
    if (busy || state instanceof MetadataError) return
    const batch = takeBatch(waiting)
    if (batch.length === 0) {
      if (state === 'closing') post({ kind: 'close' })
      return
    }
    busy = true
    for (const call of batch) sent.set(call.call.id, call)
    post({ kind: 'calls', calls: batch.map(({ call }) => call) })
  }

  function submit(mode: Mode, noun: keyof Nouns, method: string, args: unknown[]): Promise<unknown> {
    if (state !== 'open') {
      return Promise.reject(state === 'closing' ? new MetadataError('failed', 'the database is closed') : state)
    }
    if (mode !== 'read' && damage.found !== undefined) return Promise.reject(damage.found)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (meter !== undefined) meter.waiting++
    const madeAt = meter === undefined ? 0 : performance.now()
    const call = { id: ++lastId, mode, noun, method, args }
    waiting.push({ call, bytes: bytesOf(args), madeAt, resolve, reject, isAgain: false })
    // Calls that are made in the same turn go together.
    if (!busy && waiting.length === 1) queueMicrotask(flush)
    return promise
  }

  post({ kind: 'open', path, now })
  try {
    await opened.promise
  } catch (error) {
    state = error instanceof MetadataError ? error : new MetadataError('failed', 'the database did not open', error)
    worker.terminate()
    throw error
  }

  return {
    method<N extends keyof Nouns, M extends keyof Nouns[N] & string>(mode: Mode, noun: N, method: M) {
      const forward = (...args: unknown[]) => submit(mode, noun, method, args)
      return forward as unknown as Nouns[N][M]
    },
    async close() {
      if (state === 'open') {
        state = 'closing'
        flush()
      }
      await closed.promise
      state = new MetadataError('failed', 'the database is closed')
      worker.terminate()
    },
  }
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0
  let count = 0
  while (count < Math.min(waiting.length, BATCH_CALLS)) {
    bytes += waiting[count]?.bytes ?? 0
    if (count > 0 && bytes > BATCH_BYTES) break
    count += 1
  }
  return waiting.splice(0, count)
}

/** Roughly: a manifest's bytes are the only argument that can be large. */
function bytesOf(args: readonly unknown[]): number {
  let bytes = 0
  for (const argument of args) {
    if (typeof argument !== 'object' || argument === null || !('bytes' in argument)) continue
    if (argument.bytes instanceof Uint8Array) bytes += argument.bytes.byteLength
  }
  return bytes
}
