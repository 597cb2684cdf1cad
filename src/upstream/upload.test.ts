import { afterEach, describe, expect, test } from 'bun:test'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { UploadMemory } from './upload.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

const BYTES = new Uint8Array(3 * 1024 * 1024).map((_, index) => index * 7 + (index >> 9))
const DIGEST = digestOf(BYTES)

interface Faults {
  /** Bytes after which a PATCH breaks off, one for each that shall. */
  breaks?: number[]
  /** How it does: its connection is cut, or nothing more is read and said. */
  breaksBy?: 'cut' | 'silence'
  /** Whether it can say what it has. */
  forgets?: boolean
}

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A registry with uploads alone, and what it was sent. */
async function startRegistry({ breaks = [], breaksBy = 'cut', forgets = false }: Faults = {}) {
  const uploads: Buffer[] = []
  const patches: number[] = []
  const stored: Digest[] = []

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://registry')
    const at = Number(/uploads\/(\d+)$/.exec(pathname)?.[1] ?? -1)
    const answer = (status: number) =>
      response
        .writeHead(status, {
          Location: `/v2/app/blobs/uploads/${at === -1 ? uploads.length - 1 : at}`,
          Range: `0-${Math.max(0, (uploads[at]?.byteLength ?? 1) - 1)}`,
        })
        .end()
    if (request.method === 'POST') {
      uploads.push(Buffer.alloc(0))
      answer(202)
    } else if (request.method === 'GET' && at >= 0) answer(forgets ? 404 : 204)
    else if (request.method === 'PATCH') {
      const limit = breaks.shift() ?? Number.POSITIVE_INFINITY
      let got = 0
      for await (const chunk of request as AsyncIterable<Buffer>) {
        const part = chunk.subarray(0, limit - got)
        got += part.byteLength
        uploads[at] = Buffer.concat([uploads[at] ?? Buffer.alloc(0), part])
        if (got < limit) continue
        patches.push(got)
        if (breaksBy === 'silence') await new Promise((resolve) => request.once('close', resolve))
        request.socket.destroy()
        return
      }
      patches.push(got)
      answer(202)
    } else if (request.method === 'PUT') {
      const digest = digestOf(uploads[at] ?? Buffer.alloc(0))
      if (digest !== searchParams.get('digest')) {
        response.writeHead(400).end(JSON.stringify({ errors: [{ code: 'DIGEST_INVALID', message: 'other bytes' }] }))
        return
      }
      stored.push(digest)
      answer(201)
    } else response.writeHead(pathname === '/v2/' ? 200 : 404).end('{}')
  }

  const server = createServer((request, response) => {
    // A client that breaks off is what some of this is about.
    respond(request, response).catch(() => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { registry: `127.0.0.1:${port}`, uploads, patches, stored }
}

function client(options: Partial<UpstreamOptions> = {}) {
  return createUpstream({
    env: {},
    home: '/nonexistent',
    userAgent: 'berth-test',
    now: () => 1,
    certDirs: [],
    plainHttp: true,
    retryDelayMs: 1,
    ...options,
  })
}

async function* chunks(bytes: Uint8Array, start: number): AsyncIterable<Uint8Array> {
  for (let at = start; at < bytes.byteLength; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

const blob = { digest: DIGEST, size: BYTES.byteLength, open: (start: number) => chunks(BYTES, start) }

function memoryOf(places: Map<string, string>): UploadMemory {
  return {
    find: ({ digest }) => places.get(digest),
    keep: ({ digest }, place) => void places.set(digest, place),
    forget: ({ digest }) => void places.delete(digest),
  }
}

describe('an upload that breaks off', () => {
  test('goes on where the registry says that it ended', async () => {
    const { registry, patches, stored, uploads } = await startRegistry({ breaks: [1_000_000, 500_000] })
    await client().blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, stored, uploads: uploads.length }).toEqual({
      patches: [1_000_000, 500_000, BYTES.byteLength - 1_500_000],
      stored: [DIGEST],
      uploads: 1,
    })
  })

  test('in silence, goes on in the same way', async () => {
    const { registry, patches, stored, uploads } = await startRegistry({ breaks: [1_000_000], breaksBy: 'silence' })
    // All that is answered has as much.
    await client({ timeoutMs: 4000 }).blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, stored, uploads: uploads.length }).toEqual({
      patches: [1_000_000, BYTES.byteLength - 1_000_000],
      stored: [DIGEST],
      uploads: 1,
    })
  })

  test('begins again where the registry cannot go on', async () => {
    const { registry, patches, stored, uploads } = await startRegistry({ breaks: [1_000_000], forgets: true })
    await client().blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, stored, uploads: uploads.length }).toEqual({
      patches: [1_000_000, BYTES.byteLength],
      stored: [DIGEST],
      uploads: 2,
    })
  })

  test('by the user, is ended properly and goes on in the next run', async () => {
    const { registry, patches, stored } = await startRegistry()
    const places = new Map<string, string>()
    const interrupt = new AbortController()
    async function* interrupted(start: number): AsyncIterable<Uint8Array> {
      let at = start
      for await (const chunk of chunks(BYTES, start)) {
        at += chunk.byteLength
        if (at === 1_048_576) interrupt.abort(new Error('interrupted'))
        yield chunk
      }
    }
    const first = client({ signal: interrupt.signal, uploads: memoryOf(places) })
    const ended = first.blobs.put({ registry, repository: 'app' }, { ...blob, open: interrupted })
    expect(await ended.catch((error: Error) => error.message)).toBe('interrupted')
    expect({ patches, places: places.size, stored }).toEqual({ patches: [1_048_576], places: 1, stored: [] })
    await client({ uploads: memoryOf(places) }).blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, places: places.size, stored }).toEqual({
      patches: [1_048_576, BYTES.byteLength - 1_048_576],
      places: 0,
      stored: [DIGEST],
    })
  })

  test('and has other bytes at the registry than it should, begins again', async () => {
    const { registry, patches, stored, uploads } = await startRegistry()
    uploads.push(Buffer.alloc(2_000_000, 'other'))
    const places = new Map([[DIGEST as string, '/v2/app/blobs/uploads/0'.slice(4)]])
    await client({ uploads: memoryOf(places) }).blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, places: places.size, stored }).toEqual({
      patches: [BYTES.byteLength - 2_000_000, BYTES.byteLength],
      places: 0,
      stored: [DIGEST],
    })
  })
})

test.each<[string, Uint8Array, RegExp]>([
  ['of others bytes', BYTES.toReversed(), /its source gave other bytes/],
  ['that ends too early', BYTES.subarray(0, 100), /says 3145728 bytes, and its source has 100/],
  ['that is too long', new Uint8Array(BYTES.byteLength + 1), /says 3145728 bytes, and its source has more/],
])('a blob %s is not stored', async (_, bytes, message) => {
  const { registry, stored } = await startRegistry()
  const upload = client().blobs.put({ registry, repository: 'app' }, { ...blob, open: (start) => chunks(bytes, start) })
  await expect(upload).rejects.toMatchObject({ fault: 'invalid', message: expect.stringMatching(message) })
  expect(stored).toEqual([])
})
