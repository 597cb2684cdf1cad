import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { BATCH_BYTES } from '../../src/storage/batch.ts'
import { connect } from '../crash/raw-connection.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, must, placeOf } from './content.ts'
import { ask, requestOf } from './exchange.ts'
import { uploadsOn } from './expectations.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
})
afterAll(() => registry.stop())

const ID = /^[0-9a-f-]{36}$/

const { start, expectProgress, expectCreated, expectBlob } = uploadsOn(() => port)

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
    const bytes = 'x'.repeat(BATCH_BYTES + 100_000)
    const place = await start()
    const gone = await connect(port)
    await gone.send(requestOf(port, 'PATCH', place, { body: bytes, contentLength: 2 * bytes.length }))
    // It goes when the first of it is on the disk, and all of it has been read.
    const file = join(registry.directory, 'berth-uploads', place.slice(-36))
    while (statSync(file).size < BATCH_BYTES) await Bun.sleep(10)
    await gone.taken()
    gone.destroy()
    const arrived = async () => Number((await ask(port, 'GET', place)).headers.range?.slice(2)) + 1
    for (let tries = 0; (await arrived()) < bytes.length && tries < 1000; tries++) await Bun.sleep(50)
    expect(await arrived()).toBe(bytes.length)
    const digest = digestOf(bytesOf(`${bytes}!`))
    const range = { 'Content-Range': `${bytes.length}-${bytes.length}` }
    expectCreated(await ask(port, 'PUT', `${place}?digest=${digest}`, { body: '!', headers: range }), digest)
    await expectBlob(digest, `${bytes}!`)
  })

  test('is taken over by a new request while an old one hangs', async () => {
    const place = await start()
    const old = await connect(port)
    await old.send(requestOf(port, 'PATCH', place, { body: 'hello', contentLength: 100 }))
    await old.taken()
    // What came later is stored: so what came before is read.
    await must(202, ask(port, 'PATCH', await start(), { body: 'later' }))
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
