import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metadata } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { digestOf } from '../oci/digest.ts'
import type { RegistryError } from '../oci/error.ts'
import { openMemory } from '../storage/memory.ts'
import type { Storage } from '../storage/storage.ts'
import { createTurns } from './turns.ts'
import { type Chunk, createUploads, type Uploads } from './uploads.ts'

const BYTES = new TextEncoder().encode('0123456789')
const OTHER = digestOf(BYTES, 'sha512')
const LONG_AGO = 1000
const NOW = 2000

const whole = (): Chunk => ({
  async *body() {
    yield BYTES
  },
  start: undefined,
  length: undefined,
})

/** As `call`, once something else has happened. */
function after<A extends unknown[], R>(first: () => Promise<unknown>, call: (...args: A) => Promise<R>) {
  return async (...args: A): Promise<R> => {
    await first()
    return await call(...args)
  }
}

describe('an upload whose client sends', () => {
  let directory: string
  let metadata: Metadata
  let storage: Storage
  let uploads: Uploads
  let time: number
  let ids: number

  /** One process: sessions and turns are its own. */
  function open(over: Partial<Storage> = {}, most?: number): Uploads {
    return createUploads({
      ...(most !== undefined && { most }),
      ...{
        metadata,
        storage: { ...storage, ...over },
        now: () => time,
        newId: () => `upload-${++ids}`,
        bootId: 'boot',
      },
      ...{ turns: createTurns(), onBlob: () => {} },
    })
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-uploads-'))
    metadata = await openQuickly({ path: join(directory, 'berth.db') })
    storage = openMemory({})
    time = LONG_AGO
    ids = 0
    uploads = open()
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

  const END = (): Promise<number> => open().endAll('app', NOW)
  test.each<[string, (id: string) => Promise<unknown>]>([
    [
      'before its next bytes are written',
      (id) => open({ append: after(END, storage.append) }).append('app', id, whole()),
    ],
    ['before its bytes are read again', (id) => open({ digest: after(END, storage.digest) }).finish('app', id, OTHER)],
    ['before they become a blob', (id) => open({ seal: after(END, storage.seal) }).finish('app', id, digestOf(BYTES))],
  ])('is unknown when another process ends it with its repository %s', async (_, send) => {
    const { id } = await uploads.start('app')
    await uploads.append('app', id, whole())
    const error = await send(id).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN', detail: id })
    expect(await metadata.blobs.locate(digestOf(BYTES))).toBeUndefined()
  })

  test('is a fault of the registry when its bytes are gone and its session is not', async () => {
    const { id } = await uploads.start('app')
    await uploads.append('app', id, whole())
    const lost = () => storage.abort({ id, size: 0, state: '' })
    const finished = open({ seal: after(lost, storage.seal) }).finish('app', id, digestOf(BYTES))
    expect(await finished.catch((thrown: unknown) => thrown)).toMatchObject({ name: 'StorageError' })
  })

  describe('where three may be under way', () => {
    const told = async (starting: Promise<unknown>) =>
      await starting.then(
        () => 'begun',
        (error: RegistryError) => `${error.code}: ${error.message.slice(0, 24)}`,
      )
    const FULL = 'TOOMANYREQUESTS: 3 uploads are under way,'
    const rows = () => metadata.uploads.count(10)

    test('is refused where there are as many, and begins once one has ended', async () => {
      const bounded = open({}, 3)
      const { id } = await bounded.start('app')
      const others = await Promise.all([bounded.start('app'), bounded.start('other')])
      expect(others.length).toBe(2)
      expect([await told(bounded.start('app')), await told(bounded.start('new')), await rows()]).toEqual([
        FULL,
        FULL,
        3,
      ])
      await bounded.cancel('app', id)
      // A refusal stands for a moment, lest each one counts them all.
      expect(await told(bounded.start('app'))).toBe(FULL)
      time += 5000
      expect([await told(bounded.start('app')), await told(bounded.start('app')), await rows()]).toEqual([
        'begun',
        FULL,
        3,
      ])
    })

    test('is refused by a process that was just started, too', async () => {
      for (let begun = 0; begun < 3; begun++) await open().start('app')
      expect([await told(open({}, 3).start('app')), await rows()]).toEqual([FULL, 3])
    })

    test('ends those first that nobody touched for an hour', async () => {
      const bounded = open({}, 3)
      const old = [await bounded.start('app'), await bounded.start('app')]
      await bounded.append('app', old[0]?.id ?? '', whole())
      time += 1
      const young = await bounded.start('app')
      time += 3_600_000
      expect(await told(bounded.start('other'))).toBe('begun')
      const left = await Promise.all([...old, young].map(({ id }) => metadata.uploads.exists(id)))
      expect([left, await rows()]).toEqual([[false, false, true], 2])
    })
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
  const metadata = await openQuickly({ path: join(directory, 'berth.db') })
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
