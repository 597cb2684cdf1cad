import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, errorsOf, must, placeOf, pushBlob } from './content.ts'
import { type Answer, ask, requestOf } from './exchange.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
})
afterAll(() => registry.stop())

const ID = /^[0-9a-f-]{36}$/

async function start(repository = 'up'): Promise<string> {
  return placeOf(await must(202, ask(port, 'POST', `/v2/${repository}/blobs/uploads/`)))
}

/** What an answer about a running upload says. */
function expectProgress(answer: Answer, status: number, place: string, range: string): void {
  const id = place.slice(place.lastIndexOf('/') + 1)
  expect(answer).toMatchObject({ status, text: '' })
  expect(answer.all).toMatchObject({
    location: [`http://127.0.0.1:${port}${place}`],
    range: [range],
    'docker-upload-uuid': [id],
    'docker-distribution-api-version': ['registry/2.0'],
  })
  // RFC 9110 section 8.6 forbids it in a 204.
  if (status === 204) expect(answer.headers['content-length']).toBeUndefined()
  else expect(answer.headers['content-length']).toBe('0')
}

function expectCreated(answer: Answer, digest: string, repository = 'up'): void {
  expect(answer).toMatchObject({ status: 201, text: '' })
  expect(answer.all).toMatchObject({
    location: [`http://127.0.0.1:${port}/v2/${repository}/blobs/${digest}`],
    'docker-content-digest': [digest],
    'content-length': ['0'],
    'docker-distribution-api-version': ['registry/2.0'],
  })
}

async function expectBlob(digest: string, bytes: string, repository = 'up'): Promise<void> {
  expect(await ask(port, 'GET', `/v2/${repository}/blobs/${digest}`)).toMatchObject({ status: 200, text: bytes })
}

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

describe('the last PUT', () => {
  const kept: [string, string][] = [
    ['no digest', ''],
    ['an empty digest', '?digest='],
    ['garbage', '?digest=garbage'],
    ['a digest that is too short', '?digest=sha256:abc'],
    ['another algorithm', `?digest=md5:${'0'.repeat(32)}`],
  ]
  test.each(kept)('with %s is refused, and the session stays', async (_, query) => {
    const digest = digestOf(bytesOf('hello'))
    const place = await start()
    await must(202, ask(port, 'PATCH', place, { body: 'hello' }))
    const answer = await ask(port, 'PUT', `${place}${query}`, { body: '' })
    expect(answer.status).toBe(400)
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID'])
    expectProgress(await ask(port, 'GET', place), 204, place, '0-4')
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
  })

  test.each([
    ['without data', ''],
    ['with data', ' and more'],
  ])('with the wrong digest ends the session and stores nothing, %s', async (_, body) => {
    const place = await start()
    await must(202, ask(port, 'PATCH', place, { body: 'these bytes' }))
    const wrong = digestOf(bytesOf('other bytes'))
    const answer = await ask(port, 'PUT', `${place}?digest=${wrong}`, { body })
    expect(answer.status).toBe(400)
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID'])
    expect(codesOf(await ask(port, 'GET', place))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    for (const digest of [wrong, digestOf(bytesOf(`these bytes${body}`))]) {
      expect((await ask(port, 'HEAD', `/v2/up/blobs/${digest}`)).status).toBe(404)
    }
    expect(readdirSync(join(registry.directory, 'berth-uploads'))).not.toContain(place.slice(-36))
  })

  test.each([
    ['with nothing said before', ''],
    ['with ?digest-algorithm=sha512 at each chunk', '?digest-algorithm=sha512'],
    ['with sha256 said before', '?digest-algorithm=sha256'],
  ])('by sha512, %s', async (_, query) => {
    const digest = digestOf(bytesOf('hello sha512'), 'sha512')
    const place = await start('sha512')
    await must(202, ask(port, 'PATCH', `${place}${query}`, { body: 'hello' }))
    await must(202, ask(port, 'PATCH', `${place}${query}`, { body: ' sha' }))
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: '512' }), digest, 'sha512')
    await expectBlob(digest, 'hello sha512', 'sha512')
  })

  test('an algorithm that nobody has is refused at the chunk', async () => {
    const place = await start()
    const answer = await ask(port, 'PATCH', `${place}?digest-algorithm=md5`, { body: 'hello' })
    expect(answer.status).toBe(400)
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID'])
    expectProgress(await ask(port, 'GET', place), 204, place, '0-0')
  })

  test('of bytes that the registry has already is a push like any other', async () => {
    const digest = await pushBlob(port, 'twice', 'the same')
    const place = await start('twice')
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: 'the same' }), digest, 'twice')
    await expectBlob(digest, 'the same', 'twice')
    // Known bytes are no pass: they must have come.
    const cheat = await start('cheat')
    expect((await ask(port, 'PUT', `${cheat}?digest=${digest}`, { body: '' })).status).toBe(400)
    expect((await ask(port, 'HEAD', `/v2/cheat/blobs/${digest}`)).status).toBe(404)
  })
})

describe('a session', () => {
  test('ends when it is cancelled (end-14)', async () => {
    const place = await start()
    await must(202, ask(port, 'PATCH', place, { body: 'hello' }))
    const answer = await ask(port, 'DELETE', place)
    expect(answer).toMatchObject({ status: 204, text: '' })
    expect(answer.headers['docker-upload-uuid']).toMatch(ID)
    expect(codesOf(await ask(port, 'GET', place))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    expect(codesOf(await ask(port, 'DELETE', place))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    expect(readdirSync(join(registry.directory, 'berth-uploads'))).not.toContain(place.slice(-36))
  })

  const digest = digestOf(bytesOf('x'))
  test.each([
    ['that nobody began', '/v2/up/blobs/uploads/00000000-0000-4000-8000-000000000000'],
    ['with a name that is no id', '/v2/up/blobs/uploads/x'],
    ['with a name that leads elsewhere', '/v2/up/blobs/uploads/..%2fescape'],
    ['with a name that is long', `/v2/up/blobs/uploads/${'x'.repeat(5000)}`],
  ])('%s is unknown', async (_, place) => {
    for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']) {
      const body = method === 'PATCH' || method === 'PUT' ? { body: 'x' } : {}
      const answer = await ask(port, method, `${place}?digest=${digest}`, body)
      expect([method, answer.status]).toEqual([method, 404])
      if (method !== 'HEAD' && !place.includes('..')) expect(codesOf(answer)).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    }
  })

  test('belongs to its repository', async () => {
    const place = await start('mine')
    await must(202, ask(port, 'PATCH', place, { body: 'hello' }))
    const stolen = place.replace('/mine/', '/yours/')
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const body = method === 'PATCH' || method === 'PUT' ? { body: '!' } : {}
      expect((await ask(port, method, `${stolen}?digest=${digest}`, body)).status).toBe(404)
    }
    expectProgress(await ask(port, 'GET', place), 204, place, '0-4')
  })

  test('outlives a restart of the server between two chunks, with all that it had', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-test-'))
    try {
      const parts = ['a'.repeat(300_000), 'b'.repeat(5), 'c'.repeat(70_000)]
      const whole = digestOf(bytesOf(parts.join('')))
      let place = ''
      for (const [index, body] of parts.entries()) {
        const server = await startRegistry({ directory })
        try {
          if (index === 0) place = placeOf(await must(202, ask(server.port, 'POST', '/v2/again/blobs/uploads/')))
          await must(202, ask(server.port, 'PATCH', place, { body }))
        } finally {
          await server.stop()
        }
      }
      const server = await startRegistry({ directory })
      try {
        const status = await must(204, ask(server.port, 'GET', place))
        expect(status.headers.range).toBe(`0-${parts.join('').length - 1}`)
        await must(201, ask(server.port, 'PUT', `${place}?digest=${whole}`))
        const answer = await ask(server.port, 'GET', `/v2/again/blobs/${whole}`)
        expect(digestOf(answer.body)).toBe(whole)
      } finally {
        await server.stop()
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  test('keeps what had come when its client went away in the middle', async () => {
    const bytes = 'x'.repeat(100_000)
    const place = await start()
    const request = requestOf(port, 'PATCH', place, { body: bytes, contentLength: 200_000 })
    const gone = createConnection({ port, host: '127.0.0.1' })
    gone.write(request)
    // The client sees what has arrived, and goes when everything that it sent is there.
    const arrived = async () => Number((await ask(port, 'GET', place)).headers.range?.slice(2)) + 1
    await Bun.sleep(300)
    gone.destroy()
    for (let tries = 0; (await arrived()) < bytes.length && tries < 100; tries++) await Bun.sleep(50)
    expect(await arrived()).toBe(bytes.length)
    const digest = digestOf(bytesOf(`${bytes}!`))
    const range = { 'Content-Range': `${bytes.length}-${bytes.length}` }
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: '!', headers: range }), digest)
    await expectBlob(digest, `${bytes}!`)
  })

  test('is taken over by a new request while an old one hangs', async () => {
    const place = await start()
    const old = createConnection({ port, host: '127.0.0.1' })
    old.on('error', () => {})
    old.write(requestOf(port, 'PATCH', place, { body: 'hello', contentLength: 100 }))
    await Bun.sleep(300)
    try {
      const answer = await ask(port, 'PATCH', place, { body: ' world', headers: { 'Content-Range': '5-10' } })
      expectProgress(answer, 202, place, '0-10')
      const digest = digestOf(bytesOf('hello world'))
      expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
    } finally {
      old.destroy()
    }
  })

  test('of many requests at once holds what one of each order would give', async () => {
    const place = await start()
    const chunks = Array.from({ length: 8 }, (_, index) =>
      ask(port, 'PATCH', place, { body: String(index), headers: { 'Content-Range': '0-0' } }),
    )
    const statuses = (await Promise.all(chunks)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 202)).toHaveLength(1)
    expect(statuses.filter((status) => status >= 500)).toEqual([])
    const winner = statuses.indexOf(202)
    const digest = digestOf(bytesOf(String(winner)))
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`), digest)
  })
})

describe('"Mounting a blob from another repository" (end-11)', () => {
  const digest = digestOf(bytesOf('to mount'))
  beforeAll(async () => {
    await pushBlob(port, 'mount/source', 'to mount')
  })

  test.each([
    ['from the repository that has it', 'from=mount/source'],
    ['from an encoded name', 'from=mount%2Fsource'],
    ['without from, from any (an open registry may read all)', ''],
    ['with an unknown parameter besides', 'from=mount/source&origin=x'],
  ])('%s', async (row, query) => {
    const target = `mount/to-${digestOf(bytesOf(row)).slice(7, 15)}`
    const answer = await ask(port, 'POST', `/v2/${target}/blobs/uploads/?mount=${digest}&${query}`, { body: '' })
    expectCreated(answer, digest, target)
    await expectBlob(digest, 'to mount', target)
  })

  test('from itself, where it has the blob', async () => {
    const query = `mount=${digest}&from=mount/source`
    expectCreated(await ask(port, 'POST', `/v2/mount/source/blobs/uploads/?${query}`), digest, 'mount/source')
  })

  test.each([
    ['from itself, where it has it not', `mount=${digest}&from=mount/target`],
    ['from a repository without it', `mount=${digest}&from=mount/empty`],
    ['from a name that is no name', `mount=${digest}&from=NO/NAME`],
    ['from nothing', `mount=${digest}&from=`],
    ['of a digest that nobody has', `mount=sha256:${'0'.repeat(64)}&from=mount/source`],
    ['of a digest that nobody has, without from', `mount=sha256:${'0'.repeat(64)}`],
    ['of a digest that is none', 'mount=latest&from=mount/source'],
    ['of nothing', 'mount=&from=mount/source'],
    ['from, but of nothing', 'from=mount/source'],
  ])('%s begins an upload instead', async (_, query) => {
    const answer = await ask(port, 'POST', `/v2/mount/target/blobs/uploads/?${query}`)
    expectProgress(answer, 202, placeOf(answer), '0-0')
    expect((await ask(port, 'HEAD', `/v2/mount/target/blobs/${digest}`)).status).toBe(404)
  })

  test('with a digest besides: what cannot be mounted is taken from the body', async () => {
    const fresh = digestOf(bytesOf('fresh'))
    const query = `mount=${fresh}&from=mount/source&digest=${fresh}`
    expectCreated(
      await ask(port, 'POST', `/v2/mount/body/blobs/uploads/?${query}`, { body: 'fresh' }),
      fresh,
      'mount/body',
    )
    await expectBlob(fresh, 'fresh', 'mount/body')
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
