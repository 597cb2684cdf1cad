/** For tests only: what goes into storage, and what must come out. */
import { expect } from 'bun:test'
import { type Storage, StorageError } from './storage.ts'

/** Bytes that look random and are the same for the same seed. */
export function content(size: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return new Uint8Array(words.buffer).slice(0, size)
}

/** Pieces with buffers of their own. */
export function split(bytes: Uint8Array, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let start = 0; start < bytes.byteLength; start += length) pieces.push(bytes.slice(start, start + length))
  return pieces
}

export async function* body(chunks: readonly Uint8Array[], failure?: unknown, fails = failure !== undefined) {
  for (const chunk of chunks) {
    await Promise.resolve()
    yield chunk
  }
  if (fails) throw failure
}

/** Asserts that all of the object, and any range of it, is what `bytes` has there. */
export async function expectObject(storage: Storage, key: string, bytes: Uint8Array): Promise<void> {
  const object = await storage.open(key)
  if (object === undefined) throw new Error(`there is no object ${key}`)
  expect(object.size).toBe(bytes.byteLength)
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    if (object.kind === 'file') return Bun.file(object.path).slice(start, end).bytes()
    return new Uint8Array(await new Response(toStream(object.read(start, end))).arrayBuffer())
  }
  expect(Buffer.compare(await read(0, object.size), bytes)).toBe(0)
  const [start, end] = [Math.floor(object.size / 3), Math.ceil((object.size * 2) / 3)]
  expect(Buffer.compare(await read(start, end), bytes.subarray(start, end))).toBe(0)
}

function toStream(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      for await (const chunk of source) controller.enqueue(chunk)
      controller.close()
    },
  })
}

export async function expectFault(work: Promise<unknown>, fault: StorageError['fault']): Promise<void> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
  if (!(outcome instanceof StorageError)) throw new Error(`expected a StorageError: ${Bun.inspect(outcome)}`)
  expect({ fault: outcome.fault, said: outcome.message.length > 0 }).toEqual({ fault, said: true })
}

export async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of storage.list()) keys.push(key)
  return keys.sort()
}
