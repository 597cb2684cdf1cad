import { afterEach, describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { digestOf } from '../oci/digest.ts'
import { MOST_PAGES } from './pages.ts'
import type { UploadMemory } from './upload.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

/** Registries that no program runs: each does what a client must not fall for. */
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

function serve(answer: (request: Request, path: string) => Response | Promise<Response>): string {
  const server = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, idleTimeout: 0, development: false, error: () => undefined },
    fetch: (request) => {
      const path = request.url.slice(request.url.indexOf('/', 'http://'.length))
      return path === '/v2/' && !request.headers.has('x-all') ? new Response('{}') : answer(request, path)
    },
  })
  ends.push(() => server.stop(true))
  return `127.0.0.1:${server.port}`
}

/** One that says these bytes, whatever it is asked. */
async function say(text: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(text, 'latin1'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => server.close())
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

const client = (options: Partial<UpstreamOptions> = {}) =>
  createUpstream({
    ...{ env: {}, home: '/nonexistent', userAgent: 'berth-test', now: () => 1_000_000, certDirs: [] },
    ...{ plainHttp: true, retryDelayMs: 1 },
    ...options,
  })
const app = (registry: string) => ({ registry, repository: 'app' })
const tagsOf = (registry: string) => Array.fromAsync(client().tags(app(registry)))
const BYTES = new Uint8Array(2 * 1024 * 1024).fill(7)
const DIGEST = digestOf(BYTES)

describe('what a registry calls a name goes into no path', () => {
  test.each(['../../../prod/app/manifests/latest', 'v1?x', 'v1#x', '', '.', '-rf', 'a b', '\u001b[2J'])(
    '%j',
    async (name) => {
      const asked: string[] = []
      const registry = serve((_, path) => {
        asked.push(path)
        return new Response('{}')
      })
      const upstream = client()
      const manifest = { mediaType: 'application/vnd.oci.image.index.v1+json', bytes: Buffer.from('{}') }
      for (const work of [
        () => upstream.head(app(registry), name),
        () => upstream.manifest(app(registry), name),
        () => upstream.putManifest(app(registry), name, manifest),
        () => upstream.delete(app(registry), name),
        () => Array.fromAsync(upstream.tags({ registry, repository: `x/${name}` })),
        () => upstream.manifest({ registry, repository: `https://elsewhere.example/${name}` }, 'v1'),
      ]) {
        await expect((async () => await work())()).rejects.toMatchObject({ fault: 'invalid' })
      }
      expect(asked).toEqual([])
    },
  )
})

describe('a list', () => {
  const page = (tags: unknown, next: string) =>
    Response.json({ tags }, { headers: { Link: `</v2/app/tags/list?last=${next}>; rel="next"` } })

  test('without an end is given up after so many pages', async () => {
    let pages = 0
    const registry = serve(() => page([`v${++pages}`], String(pages)))
    await expect(tagsOf(registry)).rejects.toMatchObject({
      fault: 'invalid',
      message: `the tags of ${registry}/app: the registry has no end of pages (${MOST_PAGES} were read)`,
    })
    expect(pages).toBe(MOST_PAGES)
  })

  test('whose pages are the same under other names is given up at once', async () => {
    let pages = 0
    const registry = serve(() => page(['v1', 'v2'], String(++pages)))
    await expect(tagsOf(registry)).rejects.toMatchObject({
      message: `the tags of ${registry}/app: the registry sends the same page again`,
    })
    expect(pages).toBe(2)
  })

  test('of referrers without an end is given up, too', async () => {
    let pages = 0
    const registry = serve(() =>
      Response.json(
        { schemaVersion: 2, manifests: [], annotations: { page: String(++pages) } },
        { headers: { Link: `</v2/app/referrers/${DIGEST}?page=${pages % 3}>; rel="next"` } },
      ),
    )
    await expect(client().referrers(app(registry), DIGEST)).rejects.toMatchObject({
      message: `the referrers of ${registry}/app@${DIGEST}: the registry leads to the same page again`,
    })
  })

  test.each(['<', '<>', '<>;', '<>; rel=', '<a>;,', '; '])(
    'whose Link is half a million times %j is read on',
    async (part) => {
      const link = part.repeat(500_000 / part.length)
      const registry = await say(`HTTP/1.1 200 OK\r\nLink: ${link}\r\nContent-Length: 15\r\n\r\n{"tags":["v1"]}`)
      expect(await tagsOf(registry)).toEqual(['v1'])
    },
  )
})

describe('an answer that is none is told without the words of the runtime', () => {
  const head = (headers: string) => `HTTP/1.1 200 OK\r\n${headers}\r\n`
  test.each<[string, string, string]>([
    [
      'two thousand headers',
      head('X: y\r\n'.repeat(2000)),
      'it answers something that is no HTTP, or has too many headers',
    ],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'it answers something that is no HTTP, or has too many headers'],
    ['a length below zero', head('Content-Length: -5\r\n'), 'its answer has a length that is none'],
    ['chunks that are none', head('Transfer-Encoding: chunked\r\n\r\nZZ\r\n'), ''],
    ['nothing', '', 'the connection was reset'],
  ])('%s', async (_, answer, reason) => {
    const registry = await say(answer)
    const error = await tagsOf(registry).catch((fault: unknown) => fault)
    expect(error).toMatchObject({ fault: 'network' })
    expect(String(error)).not.toMatch(/fetch|verbose/)
    if (reason !== '') expect(String(error)).toEndWith(`cannot reach ${registry}: ${reason}`)
  })
})

describe('a token', () => {
  function site(tokens: (count: number) => Response, isGood: (authorization: string) => boolean) {
    const seen: string[] = []
    const server = serve((_, path) => {
      seen.push(path)
      return tokens(seen.length)
    })
    const registry = Bun.serve({
      ...{ hostname: '127.0.0.1', port: 0, development: false },
      fetch(request) {
        if (isGood(request.headers.get('authorization') ?? '')) return Response.json({ tags: ['v1'] })
        const challenge = `Bearer realm="http://${server}/auth",service="s",scope="repository:app:pull"`
        return new Response('', { status: 401, headers: { 'WWW-Authenticate': challenge } })
      },
    })
    ends.push(() => registry.stop(true))
    return { registry: `127.0.0.1:${registry.port}`, seen }
  }

  test('that ends before its time is asked for again, by all who had it', async () => {
    let good = 'Bearer t1'
    const { registry, seen } = site(
      (count) => Response.json({ token: `t${count}`, expires_in: 3600 }),
      (authorization) => authorization >= good,
    )
    const upstream = client()
    const read = () => Array.fromAsync(upstream.tags(app(registry)))
    expect(await read()).toEqual(['v1'])
    expect(await read()).toEqual(['v1'])
    // Somebody changed the key that tokens are signed with.
    good = 'Bearer t2'
    expect(await Promise.all([read(), read(), read()])).toEqual([['v1'], ['v1'], ['v1']])
    const after = seen.length
    expect(await read()).toEqual(['v1'])
    expect(seen.length).toBe(after)
  })

  test('that never counts is asked for twice at most', async () => {
    const { registry, seen } = site(
      (count) => Response.json({ token: `t${count}` }),
      () => false,
    )
    const upstream = client()
    for (let turn = 0; turn < 2; turn++) {
      await expect(Array.fromAsync(upstream.tags(app(registry)))).rejects.toMatchObject({ fault: 'unauthorized' })
    }
    expect(seen.length).toBe(2)
  })

  test('that would be more than a header is none', async () => {
    const { registry } = site(
      () => Response.json({ token: 'secret\r\nX-Evil: 1' }),
      () => false,
    )
    await expect(tagsOf(registry)).rejects.toMatchObject({
      fault: 'invalid',
      message: `the token server of ${registry} answers with a token that is none`,
    })
  })
})

describe('an upload', () => {
  const blob = {
    digest: DIGEST,
    size: BYTES.byteLength,
    open: (start: number) => new Blob([BYTES.slice(start)]).stream(),
  }
  const places = (place: string): UploadMemory & { place: string | undefined } => ({
    place,
    find() {
      return this.place
    },
    keep(_, found) {
      this.place = found
    },
    forget() {
      this.place = undefined
    },
  })

  test.each([401, 403, 404, 409])(
    'of an earlier run that is refused with %i now ends, and is not begun for ever',
    async (status) => {
      const asked: string[] = []
      const registry = serve((request, path) => {
        asked.push(`${request.method} ${path}`)
        return Response.json({ errors: [{ code: 'DENIED', message: 'no more' }] }, { status })
      })
      const upload = client({ uploads: places('app/blobs/uploads/1') }).blobs.put(app(registry), blob)
      await expect(upload).rejects.toMatchObject({ status, message: expect.stringContaining('no more') })
      expect(asked).toEqual(['GET /v2/app/blobs/uploads/1', 'POST /v2/app/blobs/uploads/'])
    },
  )

  test.each(['http://[::1', 'http://127.0.0.1:99999/v2/x', 'file:///etc/passwd', 'nowhere'])(
    'whose place is %p ends at once',
    async (place) => {
      const asked: string[] = []
      const registry = serve((request) => {
        asked.push(request.method)
        return new Response('', { status: 202, headers: { Location: place } })
      })
      await expect(client().blobs.put(app(registry), blob)).rejects.toMatchObject({
        fault: 'invalid',
        message: expect.stringContaining(JSON.stringify(place)),
      })
      expect(asked).toEqual(['POST'])
    },
  )

  test('in which something in between is busy goes on where it was', async () => {
    let stored = 0
    const starts: number[] = []
    const registry = serve(async (request, path) => {
      const headers = { Location: '/v2/app/blobs/uploads/1', Range: `0-${stored - 1}` }
      if (request.method === 'HEAD') return new Response('', { status: 404 })
      if (request.method === 'PATCH') {
        starts.push(stored)
        const body = await request.bytes()
        // What is in between gave up, and the registry has a half.
        const isFirst = starts.length === 1
        stored += isFirst ? 1024 * 1024 : body.byteLength
        return new Response('', { status: isFirst ? 502 : 202, headers })
      }
      if (request.method === 'GET') return new Response(null, { status: 204, headers })
      return new Response('', { status: request.method === 'PUT' ? 201 : 202, headers: { ...headers, Range: path } })
    })
    await client().blobs.put(app(registry), blob)
    expect({ starts, stored }).toEqual({ starts: [0, 1024 * 1024], stored: BYTES.byteLength })
  })
})

test('a manifest that is said to be there under another digest is not there', async () => {
  const headers = { 'Docker-Content-Digest': digestOf(Buffer.from('other')), 'Content-Length': '5' }
  const registry = serve(() => new Response(null, { headers }))
  await expect(client().head(app(registry), DIGEST)).rejects.toMatchObject({
    fault: 'invalid',
    message: `${registry}/app@${DIGEST}: the registry answers with another manifest, ${headers['Docker-Content-Digest']}`,
  })
})

test('a blob without an end is read no further than its manifest says', async () => {
  let sent = 0
  const registry = serve(
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 65_536
            controller.enqueue(new Uint8Array(65_536))
          },
        }),
      ),
  )
  const { body } = await client().blobs.get(app(registry), DIGEST, 100_000)
  await expect(Array.fromAsync(body)).rejects.toMatchObject({
    fault: 'invalid',
    message: `blob ${DIGEST} of ${registry}/app: it has more than the 100000 bytes that its manifest says`,
  })
  // No more than what fits into the buffers on the way.
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})
