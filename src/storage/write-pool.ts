import { availableParallelism } from 'node:os'
import type { Algorithm, Digest } from '../oci/digest.ts'
import { BATCH_BYTES, createBatch } from './batch.ts'
import type { Appended } from './storage.ts'
import type { AppendStart, SealRequest, WriteResult } from './write-protocol.ts'
import { type Conversation, createWriteThread, type ThreadRequest, type WriteThread } from './write-thread.ts'

/** Bytes of an append that are on their way to the disk; past that its body is not read. */
const MAX_IN_FLIGHT = 2 * 1024 * 1024
/** Uploads whose thread is remembered, because it has their running hash. */
const MAX_REMEMBERED = 4096

/** Threads that do what would block: hashing, writing, syncing, unlinking. All paths are absolute. */
export interface WritePool {
  create(path: string): Promise<void>
  append(start: AppendStart, body: AsyncIterable<Uint8Array>): Promise<PoolAppended>
  digest(path: string, size: number, algorithm: Algorithm): Promise<Digest | undefined>
  seal(request: SealRequest): Promise<void>
  abort(id: string, path: string): Promise<void>
  delete(path: string): Promise<boolean>
  close(): Promise<void>
}

export interface PoolAppended extends Pick<Appended, 'digest' | 'interrupted'> {
  /** Bytes that the upload has now. */
  size: number
}

/** One thread a core, for hashing is what limits; more than four outrun any disk. */
export function defaultWorkers(): number {
  return Math.min(4, Math.max(2, availableParallelism()))
}

/** `createThread` is for tests. */
export function createWritePool(workers: number, createThread: () => WriteThread = createWriteThread): WritePool {
  const threads = Array.from({ length: workers }, () => createThread())
  const homes = new Map<string, WriteThread>()

  /** Appends of each thread. A thread hears of one only with its first batch, when the next is placed already. */
  const appends = new Map<WriteThread, number>()
  const load = (thread: WriteThread): number => thread.busy + (appends.get(thread) ?? 0)

  const leastBusy = (): WriteThread => {
    const [first, ...others] = threads
    if (first === undefined) throw new RangeError('a write pool has at least one thread')
    return others.reduce((best, thread) => (load(thread) < load(best) ? thread : best), first)
  }

  /** Where the upload's running hash is. */
  const homeOf = (id: string): WriteThread => {
    const home = homes.get(id) ?? leastBusy()
    homes.delete(id)
    homes.set(id, home)
    if (homes.size > MAX_REMEMBERED) {
      const oldest = homes.keys().next()
      if (!oldest.done) homes.delete(oldest.value)
    }
    return home
  }

  const run = (thread: WriteThread, request: ThreadRequest): Promise<WriteResult> => thread.start(request).result

  return {
    async create(path) {
      await run(leastBusy(), { kind: 'create', path })
    },
    async append(start, body) {
      const home = homeOf(start.id)
      appends.set(home, (appends.get(home) ?? 0) + 1)
      try {
        return await feed(home, start, body)
      } finally {
        appends.set(home, (appends.get(home) ?? 0) - 1)
      }
    },
    async digest(path, size, algorithm) {
      return (await run(leastBusy(), { kind: 'digest', path, size, algorithm })).digest
    },
    async seal(request) {
      const home = homeOf(request.id)
      homes.delete(request.id)
      await run(home, { kind: 'seal', ...request })
    },
    async abort(id, path) {
      const home = homeOf(id)
      homes.delete(id)
      await run(home, { kind: 'abort', id, path })
    },
    async delete(path) {
      return (await run(leastBusy(), { kind: 'delete', path })).found === true
    },
    async close() {
      await Promise.all(threads.map((thread) => thread.close()))
    },
  }
}

/** Reads the body as fast as the thread writes. The body's own failure is an answer, the thread's is thrown. */
async function feed(thread: WriteThread, start: AppendStart, body: AsyncIterable<Uint8Array>): Promise<PoolAppended> {
  const batch = createBatch()
  let conversation: Conversation | undefined
  let inFlight = 0
  let wake: (() => void) | undefined
  let failed = false

  const written = (bytes: number) => {
    inFlight -= bytes
    wake?.()
  }

  const send = (last: boolean): Conversation => {
    const { bytes } = batch
    const { chunks, transfer } = batch.take()
    inFlight += bytes
    if (conversation !== undefined) {
      thread.more(conversation.call, { chunks, last }, transfer)
      return conversation
    }
    const begun = thread.start({ kind: 'append', ...start, chunks, last }, transfer, written)
    begun.result.catch(() => {
      failed = true
      wake?.()
    })
    conversation = begun
    return begun
  }

  const interrupted = await drain(body, async (chunk) => {
    for (let rest = batch.add(chunk); !failed; rest = batch.add(rest)) {
      if (batch.bytes >= BATCH_BYTES) send(false)
      while (inFlight > MAX_IN_FLIGHT - BATCH_BYTES && !failed) await new Promise<void>((resolve) => (wake = resolve))
      if (rest.byteLength === 0) break
    }
    return !failed
  })
  const { size, digest } = await send(true).result
  return { size: size ?? start.from, digest, interrupted }
}

/** Gives every chunk of the body to `take` until that says false; resolves to what ended the body early, if anything did. */
async function drain(body: AsyncIterable<Uint8Array>, take: (chunk: Uint8Array) => Promise<boolean>): Promise<unknown> {
  let own: unknown
  try {
    for await (const chunk of body) {
      try {
        if (!(await take(chunk))) break
      } catch (error) {
        own = error
        throw error
      }
    }
    return undefined
  } catch (error) {
    if (own !== undefined) throw own
    return error ?? new Error('the body ended early')
  }
}
