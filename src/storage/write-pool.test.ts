import { describe, expect, test } from 'bun:test'
import { content, expectFault } from './storage.fixture.ts'
import { StorageError } from './storage.ts'
import { createWritePool } from './write-pool.ts'
import type { WriteResult } from './write-protocol.ts'
import type { ThreadRequest, WriteThread } from './write-thread.ts'

const KIB = 1024

/** A thread that does only what the test tells it to. */
function puppet() {
  const asked: ThreadRequest['kind'][] = []
  const unwritten: number[] = []
  const outcome = Promise.withResolvers<WriteResult>()
  outcome.promise.catch(() => {})
  let acknowledge: (bytes: number) => void = () => {}
  let total = 0
  const receive = (chunks: Uint8Array[], last: boolean) => {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    total += bytes
    if (last) outcome.resolve({ size: total })
    else unwritten.push(bytes)
  }
  const thread: WriteThread = {
    busy: 0,
    start(request, _transfer, onWritten = () => {}) {
      asked.push(request.kind)
      acknowledge = onWritten
      if (request.kind === 'append') receive(request.chunks, request.last)
      else outcome.resolve({})
      return { call: 1, result: outcome.promise }
    },
    more(_call, batch) {
      receive(batch.chunks, batch.last)
    },
    async close() {},
  }
  return {
    thread,
    asked,
    writeOne: () => acknowledge(unwritten.shift() ?? 0),
    fail: () => outcome.reject(new StorageError('no-space', 'the disk is full')),
  }
}

/** Lets everything happen that can happen without the thread. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const start = { id: 'one', path: '/nowhere/one', from: 0, algorithm: 'sha256' } as const

describe('a pool whose thread is stuck', () => {
  for (const size of [100, 10 * KIB, 64 * KIB, 300 * KIB]) {
    test(`reads at most 2 MiB and a chunk of a body in chunks of ${size} bytes`, async () => {
      const { thread, writeOne } = puppet()
      let pulled = 0
      const body = async function* () {
        while (pulled < 8 * 1024 * KIB) {
          pulled += size
          yield new Uint8Array(size)
        }
      }
      const appended = createWritePool(1, () => thread).append(start, body())
      await settle()
      expect(pulled).toBeGreaterThan(1024 * KIB)
      expect(pulled).toBeLessThanOrEqual(2048 * KIB + size)
      const before = pulled
      writeOne()
      await settle()
      expect(pulled).toBeGreaterThan(before)
      for (let round = 0; round < 100; round++) {
        writeOne()
        await settle()
      }
      expect(await appended).toEqual({ size: pulled, digest: undefined, interrupted: undefined })
    })
  }

  test('holds no more than that of one great chunk that it must copy', async () => {
    const { thread, writeOne } = puppet()
    const great = content(8 * 1024 * KIB + 1, 1).subarray(1)
    const pool = createWritePool(1, () => thread)
    const appended = pool.append(
      start,
      (async function* () {
        yield great
      })(),
    )
    for (let round = 0; round < 100; round++) {
      await settle()
      writeOne()
    }
    expect((await appended).size).toBe(great.byteLength)
  })

  test('stops reading, and gives the body back, when the thread fails', async () => {
    const { thread, fail } = puppet()
    let returned = false
    const body = async function* () {
      try {
        for (;;) yield new Uint8Array(64 * KIB)
      } finally {
        returned = true
      }
    }
    const appended = createWritePool(1, () => thread).append(start, body())
    await settle()
    fail()
    await expectFault(appended, 'no-space')
    expect(returned).toBe(true)
  })
})

test('an upload stays with the thread that has its running hash, and others go elsewhere', async () => {
  const puppets = [puppet(), puppet()]
  const threads = puppets.map(({ thread }, index) => ({ ...thread, busy: index }))
  const pool = createWritePool(2, () => threads.shift() ?? puppet().thread)
  const empty = async function* () {}
  await pool.append(start, empty())
  await pool.append({ ...start, from: 5 }, empty())
  expect(puppets.map(({ asked }) => asked)).toEqual([['append', 'append'], []])
})
