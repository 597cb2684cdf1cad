import { afterEach, describe, expect, test } from 'bun:test'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { UploadMemory } from './upload.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

const BYTES = new Uint8Array(3 * 1024 * 1024).map((_, index) => index * 7 + (index >> 9))
const DIGEST = digestOf(BYTES)

interface Faults {
  /** Bytes after which the connection of a PATCH is cut, one for each that shall break. */
  breaks?: number[]
  /** Whether it can say what it has. */
  forgets?: boolean
}

const servers: Bun.Server<undefined>[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true)
})

/** A registry with uploads alone, and what it was sent. */
function startRegistry({ breaks = [], forgets = false }: Faults = {}) {
  const uploads: Buffer[] = []
  const patches: number[] = []
  const stored: Digest[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    error: () => undefined,
    async fetch(request, own) {
      const { pathname, searchParams } = new URL(request.url)
      const at = Number(/uploads\/(\d+)$/.exec(pathname)?.[1] ?? -1)
      const answer = (status: number) =>
        new Response(null, {
          status,
          headers: {
            Location: `/v2/app/blobs/uploads/${at === -1 ? uploads.length - 1 : at}`,
            Range: `0-${Math.max(0, (uploads[at]?.byteLength ?? 1) - 1)}`,
          },
        })
      if (request.method === 'POST') return [uploads.push(Buffer.alloc(0)), answer(202)][1] as Response
      if (request.method === 'GET' && at >= 0) return forgets ? new Response('', { status: 404 }) : answer(204)
      if (request.method === 'PATCH') {
        const limit = breaks.shift() ?? Number.POSITIVE_INFINITY
        let got = 0
        for await (const chunk of request.body ?? []) {
          const part = chunk.subarray(0, limit - got)
          got += part.byteLength
          uploads[at] = Buffer.concat([uploads[at] ?? Buffer.alloc(0), part])
          if (got < limit) continue
          patches.push(got)
          // No answer but the end of the connection.
          own.timeout(request, 1)
          return await new Promise<Response>(() => {})
        }
        patches.push(got)
        return answer(202)
      }
      if (request.method === 'PUT') {
        const digest = digestOf(uploads[at] ?? Buffer.alloc(0))
        if (digest !== searchParams.get('digest')) {
          return Response.json({ errors: [{ code: 'DIGEST_INVALID', message: 'other bytes' }] }, { status: 400 })
        }
        stored.push(digest)
        return answer(201)
      }
      return pathname === '/v2/' ? new Response('{}') : new Response('', { status: 404 })
    },
  })
  servers.push(server)
  return { registry: `127.0.0.1:${server.port}`, uploads, patches, stored }
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
    const { registry, patches, stored, uploads } = startRegistry({ breaks: [1_000_000, 500_000] })
    await client({ timeoutMs: 300 }).blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, stored, uploads: uploads.length }).toEqual({
      patches: [1_000_000, 500_000, BYTES.byteLength - 1_500_000],
      stored: [DIGEST],
      uploads: 1,
    })
  })

  test('begins again where the registry cannot go on', async () => {
    const { registry, patches, stored, uploads } = startRegistry({ breaks: [1_000_000], forgets: true })
    await client({ timeoutMs: 300 }).blobs.put({ registry, repository: 'app' }, blob)
    expect({ patches, stored, uploads: uploads.length }).toEqual({
      patches: [1_000_000, BYTES.byteLength],
      stored: [DIGEST],
      uploads: 2,
    })
  })

  test('by the user, is ended properly and goes on in the next run', async () => {
    const { registry, patches, stored } = startRegistry()
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
    const { registry, patches, stored, uploads } = startRegistry()
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
  const { registry, stored } = startRegistry()
  const upload = client().blobs.put({ registry, repository: 'app' }, { ...blob, open: (start) => chunks(bytes, start) })
  await expect(upload).rejects.toMatchObject({ fault: 'invalid', message: expect.stringMatching(message) })
  expect(stored).toEqual([])
})
