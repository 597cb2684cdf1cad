import { afterEach, describe, expect, test } from 'bun:test'
import { digestOf } from '../oci/digest.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

/** A registry that answers what a test wants: never a real one, for none would do this. */
type Answer = (request: Request) => Response | Promise<Response>

const servers: Bun.Server<undefined>[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true)
})

function serve(answer: Answer): string {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: answer,
    error: () => undefined,
  })
  servers.push(server)
  return `127.0.0.1:${server.port}`
}

function client(options: Partial<UpstreamOptions> = {}) {
  return createUpstream({
    env: {},
    home: '/nonexistent',
    userAgent: 'berth-test',
    now: () => 1_000_000,
    certDirs: [],
    plainHttp: true,
    retryDelayMs: 1,
    ...options,
  })
}

const BYTES = new Uint8Array(100_000).map((_, index) => index)
const DIGEST = digestOf(BYTES)
const pathOf = (request: Request) => new URL(request.url).pathname
const repositoryOf = (registry: string) => ({ registry, repository: 'app' })

async function faultOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'no fault',
    (error: { fault?: string; message: string; hint?: string }) => ({
      fault: error.fault,
      message: error.message,
      hint: error.hint,
    }),
  )
}

/** Counts the bytes that a reader has got, and wakes who waits for a number of them. */
function countArrivals() {
  let count = 0
  const waiting: { bytes: number; wake: () => void }[] = []
  return {
    add(bytes: number): void {
      count += bytes
      for (const waiter of waiting) if (waiter.bytes <= count) waiter.wake()
    },
    async reach(bytes: number): Promise<void> {
      if (bytes <= count) return
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ bytes, wake: resolve })
      await promise
    },
  }
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body))
}

describe('a registry that sends readers elsewhere', () => {
  test('keeps its credentials to itself', async () => {
    const seen: (string | null)[] = []
    const storage = serve((request) => {
      seen.push(request.headers.get('authorization'), request.headers.get('x-own'))
      return new Response(BYTES)
    })
    const registry = serve((request) => {
      if (request.headers.get('authorization') === null) {
        return new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="r"' } })
      }
      if (pathOf(request) === '/v2/') return new Response('{}')
      seen.push(request.headers.get('authorization'), request.headers.get('x-own'))
      return new Response('', { status: 307, headers: { Location: `http://${storage}/bytes` } })
    })
    const upstream = client({ as: { username: 'kim', password: 'x' }, headers: { 'X-Own': 'mine' } })
    const { body } = await upstream.blobs.get(repositoryOf(registry), DIGEST)
    expect(digestOf(await read(body))).toBe(DIGEST)
    expect(seen).toEqual(['Basic a2ltOng=', 'mine', null, null])
  })

  test('keeps own headers from a page, an upload and a token server on another host', async () => {
    const seen: string[] = []
    const other = serve((request) => {
      if (request.headers.has('x-own')) seen.push(`${request.method} ${pathOf(request)}`)
      if (pathOf(request) === '/token') return Response.json({ token: 't' })
      if (request.method === 'GET') return Response.json({ tags: ['v2'] })
      return new Response('', { status: request.method === 'PATCH' ? 202 : 201, headers: { Location: request.url } })
    })
    const registry = serve((request) => {
      if (request.headers.get('authorization') === null) {
        const challenge = `Bearer realm="http://${other}/token",service="s"`
        return new Response('', { status: 401, headers: { 'WWW-Authenticate': challenge } })
      }
      if (request.method === 'HEAD') return new Response('', { status: 404 })
      if (request.method === 'POST') {
        return new Response('', { status: 202, headers: { Location: `http://${other}/upload` } })
      }
      const link = `<http://${other}/v2/app/tags/list?last=v1>; rel="next"`
      return Response.json({ tags: ['v1'] }, { headers: { Link: link } })
    })
    const upstream = client({ headers: { 'X-Own': 'mine' } })
    expect(await Array.fromAsync(upstream.tags(repositoryOf(registry)))).toEqual(['v1', 'v2'])
    await upstream.blobs.put(repositoryOf(registry), {
      digest: DIGEST,
      size: BYTES.byteLength,
      open: (start) => new Blob([BYTES.slice(start)]).stream(),
    })
    expect(seen).toEqual([])
  })

  test('in circles, is given up', async () => {
    const registry = serve((request) =>
      pathOf(request) === '/v2/'
        ? new Response('{}')
        : new Response('', { status: 307, headers: { Location: request.url } }),
    )
    expect(await faultOf(client().blobs.get(repositoryOf(registry), DIGEST))).toMatchObject({ fault: 'invalid' })
  })
})

describe('bytes', () => {
  test('that are others than asked for are an error at their end', async () => {
    const registry = serve((request) => (pathOf(request) === '/v2/' ? new Response('{}') : new Response('other')))
    const { body } = await client().blobs.get(repositoryOf(registry), DIGEST)
    expect(await faultOf(read(body))).toMatchObject({
      fault: 'invalid',
      message: expect.stringContaining('other bytes (5'),
    })
    expect(await faultOf(client().manifest(repositoryOf(registry), DIGEST))).toMatchObject({ fault: 'invalid' })
  })

  test('that break off are gone on with where they ended', async () => {
    const ranges: (string | null)[] = []
    const arrived = countArrivals()
    const registry = serve((request) => {
      if (pathOf(request) === '/v2/') return new Response('{}')
      const range = request.headers.get('range')
      ranges.push(range)
      const start = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
      const part = BYTES.slice(start, start + 40_000)
      const end = start + part.byteLength
      const stream = new ReadableStream({
        async pull(controller) {
          controller.enqueue(part)
          if (end === BYTES.byteLength) return controller.close()
          // Sooner, and the server may throw away what it has not sent yet.
          await arrived.reach(end)
          controller.error(new Error('broken on purpose'))
        },
      })
      return new Response(stream, { status: start === 0 ? 200 : 206 })
    })
    const { body } = await client().blobs.get(repositoryOf(registry), DIGEST)
    const chunks: Uint8Array[] = []
    for await (const chunk of body) {
      chunks.push(chunk)
      arrived.add(chunk.byteLength)
    }
    expect(digestOf(Buffer.concat(chunks))).toBe(DIGEST)
    expect(ranges).toEqual([null, 'bytes=40000-', 'bytes=80000-'])
  })
})

describe('an answer that may pass', () => {
  test.each([
    ['busy', 503, {}],
    ['too many requests', 429, { 'Retry-After': '0' }],
  ])('%s is asked again', async (_, status, headers) => {
    let asked = 0
    const registry = serve((request) => {
      if (pathOf(request) === '/v2/') return new Response('{}')
      asked++
      return asked < 3 ? new Response('', { status, headers }) : Response.json({ name: 'app', tags: ['v1'] })
    })
    expect(await Array.fromAsync(client().tags(repositoryOf(registry)))).toEqual(['v1'])
    expect(asked).toBe(3)
  })

  test('and does not, is an error with the registry’s own words', async () => {
    const registry = serve((request) =>
      pathOf(request) === '/v2/'
        ? new Response('{}')
        : Response.json({ errors: [{ code: 'UNAVAILABLE', message: 'no space\u001b[2J left' }] }, { status: 503 }),
    )
    expect(await faultOf(client().manifest(repositoryOf(registry), 'v1'))).toEqual({
      fault: 'failed',
      message: `${registry}/app:v1: the registry answers 503: UNAVAILABLE: no space [2J left`,
      hint: `the log of ${registry} says why`,
    })
  })
})

describe('an answer without an end', () => {
  /** Bytes for ever: fast, or one now and then. */
  const endless = (size: number, everyMs: number) =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(everyMs)
          controller.enqueue(new Uint8Array(size).fill(32))
        },
      }),
      { headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' } },
    )
  const silent = () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) }))
  /** Milliseconds: the requests before that answer have no more. The flood is to be noticed by its bytes. */
  const timeoutOf = (title: string) => (title === 'that floods' ? 60_000 : 1000)

  test.each<[string, Answer]>([
    ['that says no more', silent],
    ['that drips', () => endless(1, 20)],
    ['that floods', () => endless(1024 * 1024, 0)],
  ])('of a token server %s is given up', async (title, answer) => {
    const tokens = serve(answer)
    const registry = serve(
      () => new Response('', { status: 401, headers: { 'WWW-Authenticate': `Bearer realm="http://${tokens}/auth"` } }),
    )
    const work = client({ timeoutMs: timeoutOf(title) }).manifest(repositoryOf(registry), 'v1')
    expect(await faultOf(work)).toMatchObject({ message: expect.stringContaining(`the token server of ${registry}`) })
  })

  test.each<[string, Answer, string]>([
    ['that says no more', silent, 'network'],
    ['that drips', () => endless(1, 20), 'network'],
    ['that floods', () => endless(1024 * 1024, 0), 'invalid'],
  ])('of a registry %s is given up', async (title, answer, fault) => {
    const registry = serve((request) => (pathOf(request) === '/v2/' ? new Response('{}') : answer(request)))
    const upstream = client({ timeoutMs: timeoutOf(title) })
    expect(await faultOf(upstream.manifest(repositoryOf(registry), 'v1'))).toMatchObject({ fault })
    expect(await faultOf(Array.fromAsync(upstream.tags(repositoryOf(registry))))).toMatchObject({ fault })
  })
})

describe('what is no registry', () => {
  test.each<[string, Answer, string]>([
    ['answers 404 everywhere', () => new Response('nope', { status: 404 }), 'invalid'],
    ['answers HTML', () => new Response('<html>', { headers: { 'Content-Type': 'text/html' } }), 'invalid'],
    ['answers a list that is none', () => Response.json({ tags: 'v1' }), 'invalid'],
    [
      'leads to the same page for ever',
      () => Response.json({ tags: ['v1'] }, { headers: { Link: '</v2/app/tags/list?n=1>; rel="next"' } }),
      'invalid',
    ],
  ])('%s', async (_, answer, fault) => {
    const registry = serve(answer)
    expect(await faultOf(Array.fromAsync(client().tags(repositoryOf(registry))))).toMatchObject({ fault })
  })

  test('does not listen', async () => {
    const [registry] = [serve(() => new Response('')), servers.pop()?.stop(true)]
    expect(await faultOf(client().manifest(repositoryOf(registry), 'v1'))).toMatchObject({
      fault: 'network',
      message: `cannot reach ${registry}: nobody listens there`,
    })
  })
})

describe('a token server', () => {
  const challenge = (realm: string) => ({
    'WWW-Authenticate': `Bearer realm="${realm}",service="s",scope="repository:app:pull"`,
  })

  test('is asked once for what is asked for again, and anew when the token ends', async () => {
    const asked: string[] = []
    let time = 1_000_000
    const tokens = serve((request) => {
      asked.push(new URL(request.url).search)
      return Response.json({ token: `t${asked.length}`, expires_in: 100 })
    })
    const registry = serve((request) =>
      request.headers.get('authorization')?.startsWith('Bearer t') === true
        ? Response.json({ tags: [] })
        : new Response('', { status: 401, headers: challenge(`http://${tokens}/auth`) }),
    )
    const upstream = client({ now: () => time })
    for (let turn = 0; turn < 2; turn++) await Array.fromAsync(upstream.tags(repositoryOf(registry)))
    time += 95_000
    await Array.fromAsync(upstream.tags(repositoryOf(registry)))
    const query = '?service=s&scope=repository%3Aapp%3Apull&client_id=berth'
    expect(asked).toEqual([query, query])
  })

  test.each<[string, Answer, unknown]>([
    ['refuses', () => new Response('Auth failed.', { status: 401 }), { fault: 'unauthorized' }],
    ['answers without a token', () => Response.json({}), { fault: 'invalid' }],
    ['answers no JSON', () => new Response('<html>'), { fault: 'invalid' }],
    ['fails', () => new Response('oops', { status: 500 }), { fault: 'failed' }],
  ])('that %s is named', async (_, answer, expected) => {
    const tokens = serve(answer)
    const registry = serve(() => new Response('', { status: 401, headers: challenge(`http://${tokens}/auth`) }))
    expect(await faultOf(client().manifest(repositoryOf(registry), 'v1'))).toMatchObject(expected as object)
  })

  test.each(['', 'auth', 'file:///etc/passwd', 'javascript:x'])('whose realm is %p is none', async (realm) => {
    const registry = serve(() => new Response('', { status: 401, headers: challenge(realm) }))
    expect(await faultOf(client().manifest(repositoryOf(registry), 'v1'))).toMatchObject({
      fault: 'invalid',
      message: expect.stringContaining('as its token server, which is no address'),
    })
  })

  test('that gives less than was asked for is asked for what the registry names', async () => {
    const tokens = serve(() => Response.json({ token: 'weak' }))
    const registry = serve((request) =>
      pathOf(request) === '/v2/'
        ? new Response('', { status: 401, headers: challenge(`http://${tokens}/auth`) })
        : new Response(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }), {
            status: 401,
            headers: {
              'WWW-Authenticate': `Bearer realm="http://${tokens}/auth",service="s",scope="repository:app:pull",error="insufficient_scope"`,
            },
          }),
    )
    expect(await faultOf(client().manifest(repositoryOf(registry), 'v1'))).toMatchObject({
      fault: 'unauthorized',
      hint: `berth login ${registry}`,
    })
  })
})
