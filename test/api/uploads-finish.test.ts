import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, must, pushBlob } from './content.ts'
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
