import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { BATCH_BYTES } from '../../src/storage/batch.ts'
import { type Content, noise, pushBlob } from '../image.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { answerIn, connect, head } from './raw-connection.ts'
import { completeUpload, startUpload } from './upload.ts'

const CLIENTS = 200
const PARALLEL = 20
/** Bytes: far more than 200 buffers of a socket would need, far less than 200 bodies. */
const MAX_GROWTH = 150 * 1024 * 1024
/** Descriptors that threads and the runtime may open meanwhile. */
const SPARE_DESCRIPTORS = 4
const TIMEOUT = 180_000
const UPLOAD_BYTES = 300_000
/** More than what is gathered before any of it is written, so that a client sees that it has arrived. */
const SENT_BYTES = BATCH_BYTES + 20_000
/** Milliseconds between two looks. */
const POLL = 20

describe('clients that go away', () => {
  let berth: Berth
  const large = contentOf('large', 8 * 1024 * 1024)

  beforeAll(async () => {
    berth = await startBerth({ env: { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' } })
    await pushBlob(berth.url, 'leak/warm', large)
    // One of each, so that whatever is opened once for all is open.
    await abandonDownload(berth.port, large.digest)
    await resumeAbandoned(berth, 'warm')
  }, TIMEOUT)

  afterAll(() => berth.dispose())

  test(
    `${CLIENTS} in the middle of an upload leave no descriptor and no memory behind, and can resume`,
    async () => {
      const before = usageOf(berth.pid)
      const offsets = await inParallel(CLIENTS, (index) => resumeAbandoned(berth, `upload-${index}`))
      expect(offsets.every((offset) => offset <= SENT_BYTES)).toBe(true)
      // What had arrived was kept.
      expect(offsets.every((offset) => offset >= BATCH_BYTES)).toBe(true)
      await expectSettled(berth.pid, before)
      expect(readdirSync(`${berth.dataDirectory}/berth-uploads`)).toEqual([])
    },
    TIMEOUT,
  )

  test(
    `${CLIENTS} in the middle of a download leave no descriptor and no memory behind`,
    async () => {
      const before = usageOf(berth.pid)
      await inParallel(CLIENTS, () => abandonDownload(berth.port, large.digest))
      await expectSettled(berth.pid, before)
      const answer = await fetch(`${berth.url}/v2/leak/warm/blobs/${large.digest}`)
      expect(digestOf(await answer.bytes())).toBe(large.digest)
    },
    TIMEOUT,
  )
})

/** Sends a part of a blob, goes away, comes back and sends the rest. Answers where the upload stood. */
async function resumeAbandoned({ url, port, dataDirectory }: Berth, seed: string): Promise<number> {
  const blob = contentOf(seed, UPLOAD_BYTES)
  const session = await startUpload(url, 'leak/upload')
  const connection = await connect(port)
  await connection.send(head('PATCH', session, { 'Content-Length': UPLOAD_BYTES }))
  await connection.send(blob.bytes.subarray(0, SENT_BYTES))
  const file = `${dataDirectory}/berth-uploads/${session.slice(session.lastIndexOf('/') + 1)}`
  while (statSync(file).size < BATCH_BYTES) await Bun.sleep(POLL)
  connection.destroy()
  const offset = await completeUpload(url, session, blob)
  const answer = await fetch(`${url}/v2/leak/upload/blobs/${blob.digest}`, { keepalive: false })
  expect(Buffer.from(await answer.bytes()).equals(blob.bytes)).toBe(true)
  return offset
}

async function abandonDownload(port: number, digest: Digest): Promise<void> {
  const connection = await connect(port)
  await connection.send(head('GET', `/v2/leak/warm/blobs/${digest}`))
  await connection.until((received) => (answerIn(received)?.body.length ?? 0) > 0)
  connection.pause()
  connection.destroy()
}

async function inParallel<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let start = 0; start < count; start += PARALLEL) {
    const batch = Array.from({ length: Math.min(PARALLEL, count - start) }, (_, index) => work(start + index))
    results.push(...(await Promise.all(batch)))
  }
  return results
}

function usageOf(pid: number): { descriptors: number; memory: number } {
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, memory: Number(resident) * 1024 }
}

/** Gives the server time to notice that its peers are gone. */
async function expectSettled(pid: number, before: { descriptors: number; memory: number }): Promise<void> {
  let after = usageOf(pid)
  for (let attempt = 0; attempt < 600 && after.descriptors > before.descriptors + SPARE_DESCRIPTORS; attempt++) {
    await Bun.sleep(100)
    after = usageOf(pid)
  }
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + SPARE_DESCRIPTORS)
  expect(after.memory - before.memory).toBeLessThan(MAX_GROWTH)
}

function contentOf(seed: string, size: number): Content {
  const bytes = noise(size, seed)
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), bytes }
}
