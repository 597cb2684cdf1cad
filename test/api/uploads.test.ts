import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, errorsOf, must, placeOf } from './content.ts'
import { ask } from './exchange.ts'
import { uploadsOn } from './expectations.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
})
afterAll(() => registry.stop())

const { start, expectProgress, expectCreated, expectBlob } = uploadsOn(() => port)

describe('OCI Distribution Specification 1.1, "Pushing a blob monolithically"', () => {
  test('POST then PUT (end-4a, end-6)', async () => {
    const digest = digestOf(bytesOf('post then put'))
    const begun = await ask(port, 'POST', '/v2/up/blobs/uploads/')
    const place = placeOf(begun)
    expect(place).toMatch(/^\/v2\/up\/blobs\/uploads\/[0-9a-f-]{36}$/)
    expectProgress(begun, 202, place, '0-0')
    expect(begun.headers['oci-chunk-min-length']).toBeUndefined()
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: 'post then put' }), digest)
    await expectBlob(digest, 'post then put')
    // The session has ended.
    for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']) {
      const body = method === 'PATCH' || method === 'PUT' ? { body: 'x' } : {}
      expect((await ask(port, method, `${place}?digest=${digest}`, body)).status).toBe(404)
    }
  })

  test.each([
    ['one POST (end-4b)', { body: 'one post' }],
    ['one POST in chunks of HTTP', { body: ['one ', 'po', 'st'] }],
    [
      'one POST as a form, as curl --data-binary says it',
      { body: 'one post', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
    ],
    ['one POST with an expectation', { body: 'one post', headers: { Expect: '100-continue' } }],
  ])('%s', async (_, request) => {
    const digest = digestOf(bytesOf('one post'))
    expectCreated(await ask(port, 'POST', `/v2/up/blobs/uploads/?digest=${digest}`, request), digest)
    await expectBlob(digest, 'one post')
  })

  test('one POST with other bytes than its digest stores nothing and leaves no session', async () => {
    const digest = digestOf(bytesOf('expected'))
    const answer = await ask(port, 'POST', `/v2/up/blobs/uploads/?digest=${digest}`, { body: 'actual' })
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toEqual([
      {
        code: 'DIGEST_INVALID',
        message: 'provided digest did not match uploaded content',
        detail: { expected: digest, actual: digestOf(bytesOf('actual')), size: 6 },
      },
    ])
    for (const wanted of [digest, digestOf(bytesOf('actual'))]) {
      expect((await ask(port, 'HEAD', `/v2/up/blobs/${wanted}`)).status).toBe(404)
    }
  })

  test.each(['sha256:abc', 'latest', '', `md5:${'0'.repeat(32)}`, `sha256:${'A'.repeat(64)}`])(
    'one POST with the digest "%s" is refused',
    async (digest) => {
      const answer = await ask(port, 'POST', `/v2/up/blobs/uploads/?digest=${digest}`, { body: 'x' })
      expect(answer.status).toBe(400)
      expect(codesOf(answer)).toEqual(['DIGEST_INVALID'])
    },
  )

  test('of the same bytes by many at once, into several repositories', async () => {
    const bytes = 'the same for all '.repeat(10_000)
    const digest = digestOf(bytesOf(bytes))
    const names = Array.from({ length: 24 }, (_, index) => `race/r${index % 6}`)
    const answers = await Promise.all(
      names.map((name) => ask(port, 'POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body: bytes })),
    )
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 201))
    for (const name of new Set(names)) await expectBlob(digest, bytes, name)
  })

  test('a path without its last slash starts an upload too', async () => {
    expect((await ask(port, 'POST', '/v2/up/blobs/uploads')).status).toBe(202)
  })
})

describe('"Pushing a blob in chunks" (end-5, end-13)', () => {
  test.each([
    ['as the specification writes Content-Range', (a: number, b: number) => `${a}-${b}`],
    ['as RFC 9110 writes it', (a: number, b: number) => `bytes ${a}-${b}/*`],
    ['with a total', (a: number, b: number) => `bytes ${a}-${b}/11`],
  ])('in order, %s', async (_, range) => {
    const digest = digestOf(bytesOf('hello world'))
    const place = await start()
    const chunk = (from: number, body: string) =>
      ask(port, 'PATCH', place, {
        body,
        headers: { 'Content-Range': range(from, from + body.length - 1), 'Content-Type': 'application/octet-stream' },
      })
    expectProgress(await chunk(0, 'hello'), 202, place, '0-4')
    expectProgress(await ask(port, 'GET', place), 204, place, '0-4')
    expectProgress(await ask(port, 'HEAD', place), 204, place, '0-4')
    expectProgress(await chunk(5, ' worl'), 202, place, '0-9')
    const last = { body: 'd', headers: { 'Content-Range': range(10, 10) } }
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, last), digest)
    await expectBlob(digest, 'hello world')
  })

  const outOfOrder: [string, string, string][] = [
    ['a chunk again', '0-4', 'hello'],
    ['a chunk that overlaps', '3-7', 'lo wo'],
    ['a chunk that leaves a hole', '6-9', 'orld'],
    ['a chunk far ahead', '999999999999-1000000000003', 'hello'],
    ['a range that ends before it starts', '9-5', 'hello'],
    ['a range of letters', 'a-b', 'hello'],
    ['half a range', '5-', 'hello'],
    ['a negative range', '-5-9', 'hello'],
    ['several ranges', '5-6,7-9', 'hello'],
    ['a range of another unit', 'lines 5-9/*', 'hello'],
  ]
  test.each(outOfOrder)('%s is 416 with the place to continue at, and harms nothing', async (_, range, body) => {
    const place = await start()
    await must(202, ask(port, 'PATCH', place, { body: 'hello', headers: { 'Content-Range': '0-4' } }))
    const digest = digestOf(bytesOf('hello'))
    for (const [method, target] of [
      ['PATCH', place],
      ['PUT', `${place}?digest=${digest}`],
    ] as const) {
      const answer = await ask(port, method, target, { body, headers: { 'Content-Range': range } })
      expect(answer.status).toBe(416)
      expect(codesOf(answer)).toEqual(['RANGE_INVALID'])
      expect(answer.headers).toMatchObject({ range: '0-4', location: `http://127.0.0.1:${port}${place}` })
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    }
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: '' }), digest)
    await expectBlob(digest, 'hello')
  })

  test('a first chunk that does not begin at 0 is 416', async () => {
    const place = await start()
    const answer = await ask(port, 'PATCH', place, { body: 'lo', headers: { 'Content-Range': '3-4' } })
    expect(answer.status).toBe(416)
    expect(answer.headers.range).toBe('0-0')
  })

  test.each([
    ['more bytes than announced', 'hello world', { 'Content-Range': '5-9' }],
    ['fewer bytes than announced', 'x', { 'Content-Range': '5-9' }],
  ])('%s are refused, with a length or without', async (_, body, headers) => {
    const digest = digestOf(bytesOf('hello'))
    for (const content of [body, [body]]) {
      const place = await start()
      await must(202, ask(port, 'PATCH', place, { body: 'hello' }))
      const answer = await ask(port, 'PATCH', place, { body: content, headers })
      expect(answer.status).toBe(400)
      expect(codesOf(answer)).toEqual(['SIZE_INVALID'])
      // What came before is whole: neither the size nor the bytes nor the hash have changed.
      expectProgress(await ask(port, 'GET', place), 204, place, '0-4')
      expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
      await expectBlob(digest, 'hello')
    }
  })

  test('after a refused chunk the right one goes on', async () => {
    const digest = digestOf(bytesOf('hello world'))
    const place = await start()
    await must(202, ask(port, 'PATCH', place, { body: 'hello' }))
    await must(400, ask(port, 'PATCH', place, { body: ['-----------'], headers: { 'Content-Range': '5-6' } }))
    await must(202, ask(port, 'PATCH', place, { body: [' wo', 'rld'], headers: { 'Content-Range': '5-10' } }))
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
    await expectBlob(digest, 'hello world')
  })

  test('bytes stream in without a range, as docker sends them', async () => {
    const parts = Array.from({ length: 50 }, (_, index) => `part ${index};`.repeat(1000))
    const digest = digestOf(bytesOf(parts.join('')))
    const place = await start()
    const total = parts.join('').length
    expectProgress(await ask(port, 'PATCH', place, { body: parts }), 202, place, `0-${total - 1}`)
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: '' }), digest)
    await expectBlob(digest, parts.join(''))
  })

  test('a chunk without bytes changes nothing', async () => {
    const digest = digestOf(bytesOf('x'))
    const place = await start()
    expectProgress(await ask(port, 'PATCH', place, { body: '' }), 202, place, '0-0')
    expectProgress(await ask(port, 'PATCH', place), 202, place, '0-0')
    await must(202, ask(port, 'PATCH', place, { body: 'x' }))
    expectProgress(await ask(port, 'PATCH', place, { body: [] }), 202, place, '0-0')
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
  })

  test('the answer to POST advertises the least chunk, where one is set', async () => {
    const other = await startRegistry({
      change: (config) => {
        config.uploads.chunkMinLength = 1048576
      },
    })
    try {
      const answer = await ask(other.port, 'POST', '/v2/up/blobs/uploads/')
      expect(answer.headers['oci-chunk-min-length']).toBe('1048576')
    } finally {
      await other.stop()
    }
  })
})

test('a read-only registry takes no upload, and says so', async () => {
  const env = { REGISTRY_STORAGE_MAINTENANCE: '{"readonly":{"enabled":true}}' }
  const other = await startRegistry({ env })
  try {
    const digest = digestOf(bytesOf('x'))
    for (const [method, path] of [
      ['POST', '/v2/a/blobs/uploads/'],
      ['POST', `/v2/a/blobs/uploads/?mount=${digest}&from=b`],
      ['PATCH', '/v2/a/blobs/uploads/x'],
      ['PUT', `/v2/a/blobs/uploads/x?digest=${digest}`],
      ['DELETE', '/v2/a/blobs/uploads/x'],
      ['PUT', '/v2/a/manifests/latest'],
    ] as const) {
      const answer = await ask(other.port, method, path, { body: 'x' })
      expect([path, answer.status, codesOf(answer)]).toEqual([path, 405, ['UNSUPPORTED']])
    }
    await must(404, ask(other.port, 'GET', '/v2/a/blobs/uploads/x'))
  } finally {
    await other.stop()
  }
})
