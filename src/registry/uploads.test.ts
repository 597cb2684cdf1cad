import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metadata } from '../metadata/metadata.ts'
import { openSqlite } from '../metadata/sqlite.ts'
import { digestOf } from '../oci/digest.ts'
import { openMemory } from '../storage/memory.ts'
import type { Storage } from '../storage/storage.ts'
import { createTurns } from './turns.ts'
import { type Chunk, createUploads, type Uploads } from './uploads.ts'

const BYTES = new TextEncoder().encode('0123456789')
const LONG_AGO = 1000
const NOW = 2000

describe('an upload whose client sends', () => {
  let directory: string
  let metadata: Metadata
  let storage: Storage
  let uploads: Uploads
  let time: number

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-uploads-'))
    metadata = await openSqlite({ path: join(directory, 'berth.db') })
    storage = openMemory({})
    time = LONG_AGO
    let ids = 0
    uploads = createUploads({
      metadata,
      storage,
      now: () => time,
      newId: () => `upload-${++ids}`,
      bootId: 'boot',
      turns: createTurns(),
      onBlob: () => {},
    })
  })
  afterEach(async () => {
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  /** Sends half of the bytes, does `meanwhile`, sends the others and finishes; resolves to what `meanwhile` did. */
  async function sendAround<T>(id: string, meanwhile: () => Promise<T>): Promise<T> {
    const isUnderWay = Promise.withResolvers<void>()
    const mayGoOn = Promise.withResolvers<void>()
    async function* body(signal: AbortSignal) {
      yield BYTES.subarray(0, 5)
      isUnderWay.resolve()
      await mayGoOn.promise
      signal.throwIfAborted()
      yield BYTES.subarray(5)
    }
    const chunk: Chunk = { body, start: undefined, length: undefined }
    const sent = uploads.append('app', id, chunk)
    await isUnderWay.promise
    const did = meanwhile()
    // Whoever takes the turn waits for the request that has it.
    await new Promise((resolve) => setImmediate(resolve))
    mayGoOn.resolve()
    expect(await sent).toEqual({ id, size: BYTES.length })
    const result = await did
    await uploads.finish('app', id, digestOf(BYTES))
    return result
  }

  test('is not cut short by who looks for what a crash left', async () => {
    const { id } = await uploads.start('app')
    expect(await sendAround(id, () => uploads.forgetStray(id))).toBe(false)
    expect(await metadata.blobs.find('app', digestOf(BYTES))).toMatchObject({ size: BYTES.length })
  })

  test('is not cut short by the end of old uploads, of which the others end', async () => {
    const { id } = await uploads.start('app')
    const other = await uploads.start('app')
    time = NOW
    expect(await sendAround(id, () => uploads.expire(NOW))).toBe(1)
    expect(await metadata.blobs.find('app', digestOf(BYTES))).toMatchObject({ size: BYTES.length })
    expect(await metadata.uploads.exists(other.id)).toBe(false)
  })

  test('ends like the others once its client is gone', async () => {
    const { id } = await uploads.start('app')
    expect(await uploads.expire(NOW)).toBe(1)
    expect(await metadata.uploads.exists(id)).toBe(false)
    expect(await uploads.forgetStray(id)).toBe(true)
  })
})

test('the end of old uploads does not wait for those that are at work, however many', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-uploads-'))
  const metadata = await openSqlite({ path: join(directory, 'berth.db') })
  try {
    let ids = 0
    const uploads = createUploads({
      metadata,
      storage: openMemory({}),
      now: () => LONG_AGO,
      newId: () => `upload-${++ids}`,
      bootId: 'boot',
      turns: createTurns(),
      onBlob: () => {},
    })
    const stop = Promise.withResolvers<void>()
    const running: Promise<unknown>[] = []
    for (let each = 0; each < 100; each++) {
      const { id } = await uploads.start('app')
      const begun = Promise.withResolvers<void>()
      async function* body() {
        begun.resolve()
        yield BYTES
        await stop.promise
      }
      running.push(uploads.append('app', id, { body, start: undefined, length: undefined }))
      await begun.promise
    }
    expect(await uploads.expire(NOW)).toBe(0)
    stop.resolve()
    await Promise.all(running)
    expect(await uploads.countStale(NOW)).toBe(100)
  } finally {
    await metadata.close()
    rmSync(directory, { recursive: true })
  }
})
