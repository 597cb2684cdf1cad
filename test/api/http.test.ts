import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { digestOf } from '../../src/oci/digest.ts'
import { startBerth } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, must, placeOf, pushBlob, putManifest } from './content.ts'
import { ask, converse, requestOf } from './exchange.ts'
import { faultsIn } from './expectations.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
})
afterAll(() => registry.stop())

const raw = (text: string, method: string) => converse(port, [Buffer.from(text, 'latin1')], [method])

describe('requests of other kinds than clients of registries send', () => {
  test.each([
    ['HTTP/1.0 without Host, as a load balancer probes', 'GET /v2/ HTTP/1.0\r\n\r\n', '{}'],
    ['HTTP/1.0 without Host, of the root', 'GET / HTTP/1.0\r\n\r\n', ''],
    ['HTTP/1.0 with Host', 'GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n', '{}'],
    ['the absolute form (RFC 9112 section 3.2.2)', 'GET http://proxy.example/v2/ HTTP/1.1\r\nHost: x\r\n\r\n', '{}'],
    ['the absolute form with a query', 'GET http://proxy.example/v2/?a=/b HTTP/1.1\r\nHost: x\r\n\r\n', '{}'],
    ['a Host that no URL can hold', 'GET /v2/ HTTP/1.1\r\nHost: a b"<>\r\n\r\n', '{}'],
    ['an empty Host', 'GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n', '{}'],
    ['a body that nobody asked for', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', '{}'],
  ])('%s: 200', async (_, request, body) => {
    const [answer] = await raw(request, 'GET')
    expect(answer).toMatchObject({ status: 200, text: body })
  })

  test.each([
    ['HTTP/1.1 without Host (RFC 9112 section 3.2)', 'GET /v2/ HTTP/1.1\r\n\r\n'],
    ['a length that is none', 'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n'],
    [
      'a length and chunks (RFC 9112 section 6.1)',
      'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a header without a colon', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'],
    ['something that is no request', '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n'],
  ])('%s: refused', async (_, request) => {
    // Refused with 400, or closed at once: never answered as if it were understood.
    const answers = await raw(request, 'GET').catch((error: unknown) => String(error))
    if (typeof answers === 'string') expect(answers).not.toContain('no answer')
    else for (const { status } of answers) expect([400, 505]).toContain(status)
    expect((await ask(port, 'GET', '/v2/')).status).toBe(200)
  })

  test('a whole push without a usable Host: the places are then relative', async () => {
    for (const [version, headers] of [
      ['HTTP/1.1', { Host: 'a b' }],
      ['HTTP/1.0', { Host: '' }],
    ] as const) {
      const digest = digestOf(bytesOf(`pushed by ${version}`))
      const begun = await ask(port, 'POST', '/v2/hostless/blobs/uploads/', { version, headers, body: '' })
      expect(begun.status).toBe(202)
      expect(begun.headers.location).toStartWith('/v2/hostless/blobs/uploads/')
      const options = { version, headers, body: `pushed by ${version}` }
      const stored = await ask(port, 'PUT', `${placeOf(begun)}?digest=${digest}`, options)
      expect(stored.status).toBe(201)
      expect(stored.headers.location).toBe(`/v2/hostless/blobs/${digest}`)
      expect((await ask(port, 'HEAD', `/v2/hostless/blobs/${digest}`)).status).toBe(200)
    }
  })
})

describe('a Content-Type of any kind', () => {
  const types = [
    '',
    'application/octet-stream',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json',
    'text/plain; charset=utf-16',
    'garbage',
    'a/b;;;c="',
    '*/*',
  ]
  test.each(types)('"%s" changes nothing about an upload', async (type) => {
    const bytes = `digest=a&b=c%20d ${type}`
    const digest = digestOf(bytesOf(bytes))
    const headers: Record<string, string> = type === '' ? {} : { 'Content-Type': type }
    const place = placeOf(await must(202, ask(port, 'POST', '/v2/types/blobs/uploads/', { headers, body: '' })))
    await must(202, ask(port, 'PATCH', place, { headers, body: bytes.slice(0, 5) }))
    await must(201, ask(port, 'PUT', `${place}?digest=${digest}`, { headers, body: bytes.slice(5) }))
    expect((await ask(port, 'GET', `/v2/types/blobs/${digest}`)).text).toBe(bytes)
  })
})

describe('headers', () => {
  test.each([
    ['10 MB of one', [Buffer.from(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(10_000_000)}\r\n\r\n`)]],
    ['10 MB of many', [Buffer.from(`GET /v2/ HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(1_700_000)}\r\n`)]],
    ['10 MB of a path', [Buffer.from(`GET /v2/${'x'.repeat(10_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)]],
  ])('%s are refused', async (_, pieces) => {
    const answers = await converse(port, pieces, ['GET']).catch((error: unknown) => String(error))
    if (typeof answers === 'string') expect(answers).not.toContain('no answer')
    else for (const { status } of answers) expect([400, 413, 414, 431]).toContain(status)
    expect((await ask(port, 'GET', '/v2/')).status).toBe(200)
  })

  test('of 32 KB are taken, as tokens with many scopes need', async () => {
    const berth = await startBerth({ env: { REGISTRY_AUTH: 'none' } })
    try {
      for (const size of [16_000, 32_000, 60_000]) {
        const headers = { Authorization: `Bearer ${'x'.repeat(size)}` }
        expect(await ask(berth.port, 'GET', '/v2/', { headers })).toMatchObject({ status: 200, text: '{}' })
      }
      const path = `/v2/?scope=${'x'.repeat(32_000)}`
      expect((await ask(berth.port, 'GET', path)).status).toBe(200)
    } finally {
      await berth.dispose()
    }
  }, 180_000)
})

describe('pipelined requests (RFC 9112 section 9.3.2)', () => {
  const large = Buffer.alloc(24 * 1024 * 1024, 'registry of containers ')
  let blob: string
  beforeAll(async () => {
    blob = `/v2/pipe/blobs/${await pushBlob(port, 'pipe', large)}`
  })

  test('small ones are all answered, in order', async () => {
    const paths = ['/v2/', '/', '/v2/_catalog?n=0', '/nowhere', '/v2/']
    const bytes = Buffer.concat(paths.map((path) => requestOf(port, 'GET', path)))
    const answers = await converse(
      port,
      [bytes],
      paths.map(() => 'GET'),
    )
    expect(answers.map(({ text }) => text)).toEqual(['{}', '', '{"repositories":[]}\n', '404 page not found\n', '{}'])
  })

  test.each([
    ['a small one behind a large body', ['/v2/']],
    ['another large one behind it', ['large']],
    ['several behind it', ['/v2/', 'large', '/v2/', '/nowhere']],
  ])('%s never makes bytes wrong: all in order, or an early end', async (_, behind) => {
    for (let round = 0; round < 3; round++) {
      const paths = ['large', ...behind].map((path) => (path === 'large' ? blob : path))
      const received = await receiveAll(Buffer.concat(paths.map((path) => requestOf(port, 'GET', path))))
      expect(received.length).toBeGreaterThan(0)
      let rest = received
      for (const path of paths) {
        const end = rest.indexOf('\r\n\r\n')
        if (end === -1) break
        const head = rest.subarray(0, end).toString('latin1')
        expect(head).toStartWith(path === '/nowhere' ? 'HTTP/1.1 404' : 'HTTP/1.1 200')
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
        const expected = path === blob ? large : Buffer.from(path === '/v2/' ? '{}' : '404 page not found\n')
        expect(length).toBe(expected.length)
        const body = rest.subarray(end + 4, end + 4 + length)
        expect(body.equals(expected.subarray(0, body.length))).toBe(true)
        rest = rest.subarray(end + 4 + length)
        if (body.length < length) expect(rest.length).toBe(0)
      }
      const fresh = await ask(port, 'GET', blob)
      expect(fresh.body.equals(large)).toBe(true)
    }
  })
})

/** Everything that comes until the other side closes, or for as long as something comes. */
function receiveAll(request: Uint8Array): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  const socket = createConnection({ port, host: '127.0.0.1' })
  const end = () => {
    socket.destroy()
    resolve(Buffer.concat(chunks))
  }
  // A machine that is busy may let the first of it wait.
  socket.setTimeout(20_000, end)
  socket.on('connect', () => socket.write(request))
  socket.on('data', (data: Buffer) => {
    chunks.push(data)
    socket.setTimeout(1500)
  })
  socket.on('close', end)
  socket.on('error', end)
  return promise
}

describe('a connection', () => {
  test('serves one request after another, errors among them', async () => {
    const paths = ['/v2/', '/v2/BAD/tags/list', '/v2/none/manifests/x', '/v2/']
    const answers = await converse(
      port,
      paths.map((path) => requestOf(port, 'GET', path)),
      paths.map(() => 'GET'),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 404, 200])
  })

  test('that ends in the middle of a request leaves nothing behind', async () => {
    const digest = digestOf(bytesOf('never whole'))
    const requests = [
      requestOf(port, 'POST', `/v2/gone/blobs/uploads/?digest=${digest}`, { body: 'never', contentLength: 11 }),
      requestOf(port, 'PUT', '/v2/gone/manifests/x', { body: '{"schema', contentLength: 1000 }),
      Buffer.from('GET /v2/ HT'),
      Buffer.from('PUT /v2/gone/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc'),
    ]
    for (const request of requests) {
      const socket = createConnection({ port, host: '127.0.0.1' })
      socket.on('error', () => {})
      await new Promise<void>((resolve) => socket.write(request, () => resolve()))
      await Bun.sleep(50)
      socket.destroy()
    }
    expect((await ask(port, 'HEAD', `/v2/gone/blobs/${digest}`)).status).toBe(404)
    expect((await ask(port, 'GET', '/v2/gone/manifests/x')).status).toBe(404)
    expect((await ask(port, 'GET', '/v2/_catalog')).text).not.toContain('gone')
    // A client that goes away is no fault of ours.
    expect(faultsIn(registry.log)).toEqual([])
    await pushBlob(port, 'gone', 'never whole')
  })

  test('is answered though its body was not wanted, and the next is not confused by it', async () => {
    const rest = Buffer.alloc(300_000, 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n').toString()
    for (const [method, path, status] of [
      ['PUT', '/v2/BAD/manifests/x', 400],
      ['PATCH', '/v2/a/blobs/uploads/none', 404],
      ['POST', '/v2/_catalog', 405],
      ['PUT', '/nowhere', 404],
    ] as const) {
      const bytes = Buffer.concat([requestOf(port, method, path, { body: rest }), requestOf(port, 'GET', '/v2/')])
      const answers = await converse(port, [bytes], [method, 'GET'])
      expect(answers[0]?.status).toBe(status)
      // The second is answered, or its connection was closed; it is never a part of the first one's body.
      expect(answers.slice(1).map(({ text }) => text)).toEqual(answers.length > 1 ? ['{}'] : [])
    }
  })
})

test('many at once are each answered with their own', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `many/r${index}`)
  await Promise.all(
    names.map(async (name) => {
      for (const content of [`config ${name}`, `layer ${name}`]) await pushBlob(port, name, content)
      const text = imageManifest(`config ${name}`, [`layer ${name}`])
      await must(201, putManifest(port, name, 'latest', text))
      expect((await ask(port, 'GET', `/v2/${name}/manifests/latest`)).text).toBe(text)
    }),
  )
  const answer = await ask(port, 'GET', '/v2/_catalog?n=1000&last=many/')
  expect((JSON.parse(answer.text) as { repositories: string[] }).repositories).toEqual(names.toSorted())
}, 180_000)
