import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, errorsOf, imageManifest, must, placeOf, pushBlob, pushManifest } from './content.ts'
import { type Ask, ask } from './exchange.ts'

const TEXT = '0123456789abcdefghijklmnopqrstuvwxyz'
const digest = digestOf(bytesOf(TEXT))
const path = `/v2/team/app/blobs/${digest}`
const etag = `"${digest}"`

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  await pushBlob(port, 'team/app', TEXT)
})
afterAll(() => registry.stop())

/** What every answer that speaks of the blob says. */
const known = {
  'content-type': ['application/octet-stream'],
  'docker-content-digest': [digest],
  etag: [etag],
  'docker-distribution-api-version': ['registry/2.0'],
}

describe('OCI Distribution Specification 1.1, "Pulling blobs" (end-2)', () => {
  test.each(['GET', 'HEAD'])('%s tells the whole', async (method) => {
    const answer = await ask(port, method, path)
    expect(answer).toMatchObject({ status: 200, text: method === 'GET' ? TEXT : '' })
    expect(answer.all).toMatchObject({
      ...known,
      'content-length': ['36'],
      'accept-ranges': ['bytes'],
      'cache-control': ['max-age=31536000'],
      'content-disposition': ['attachment'],
    })
    expect(answer.all['content-range']).toBeUndefined()
  })

  const unknown: [string, string, number, string][] = [
    ['a digest that nobody pushed', `/v2/team/app/blobs/sha256:${'0'.repeat(64)}`, 404, 'BLOB_UNKNOWN'],
    ['a blob that is in another repository only', `/v2/team/other/blobs/${digest}`, 404, 'BLOB_UNKNOWN'],
    ['the digest of another algorithm', `/v2/team/app/blobs/sha512:${'0'.repeat(128)}`, 404, 'BLOB_UNKNOWN'],
    ['a digest that is too short', '/v2/team/app/blobs/sha256:abc', 400, 'DIGEST_INVALID'],
    ['a digest in upper case', `/v2/team/app/blobs/${digest.toUpperCase()}`, 400, 'DIGEST_INVALID'],
    ['a digest of an algorithm nobody has', `/v2/team/app/blobs/md5:${'0'.repeat(32)}`, 400, 'DIGEST_INVALID'],
    ['sha512 with the length of sha256', `/v2/team/app/blobs/sha512:${'0'.repeat(64)}`, 400, 'DIGEST_INVALID'],
    ['a tag', '/v2/team/app/blobs/latest', 400, 'DIGEST_INVALID'],
    ['a digest with something behind it', `${path}%00`, 400, 'DIGEST_INVALID'],
    ['a path out of the store', '/v2/team/app/blobs/..%2f..%2fetc', 400, ''],
  ]
  test.each(unknown)('%s is not found', async (_, target, status, code) => {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const answer = await ask(port, method, target)
      // The runtime may resolve the dots of the last row, which then names nothing.
      if (code === '') expect([400, 404]).toContain(answer.status)
      else expect([method, answer.status]).toEqual([method, status])
      if (method === 'GET' && code !== '') expect(codesOf(answer)).toEqual([code])
      if (method === 'HEAD') expect(answer.text).toBe('')
    }
  })

  test('an unknown blob is named in the detail, byte for byte', async () => {
    const other = `sha256:${'1'.repeat(64)}`
    const answer = await ask(port, 'GET', `/v2/team/app/blobs/${other}`)
    expect(answer.text).toBe(
      `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":"${other}"}]}\n`,
    )
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  test('a digest with an encoded colon is the same digest', async () => {
    expect(await ask(port, 'GET', path.replace(':', '%3A'))).toMatchObject({ status: 200, text: TEXT })
  })

  test('a blob without bytes is a blob', async () => {
    const empty = await pushBlob(port, 'team/app', '')
    for (const headers of [{}, { Range: 'bytes=abc' }, { 'If-Range': '"x"', Range: 'bytes=0-0' }]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(port, method, `/v2/team/app/blobs/${empty}`, { headers })
        expect(answer).toMatchObject({ status: 200, text: '' })
        expect(answer.headers['content-length']).toBe('0')
      }
    }
    const ranged = await ask(port, 'GET', `/v2/team/app/blobs/${empty}`, { headers: { Range: 'bytes=0-' } })
    expect(ranged.status).toBe(416)
    expect(ranged.headers['content-range']).toBe('bytes */0')
  })

  test('a blob by sha512 is found by it, and only by it', async () => {
    const wanted = digestOf(bytesOf('by sha512'), 'sha512')
    await must(201, ask(port, 'POST', `/v2/team/app/blobs/uploads/?digest=${wanted}`, { body: 'by sha512' }))
    const answer = await ask(port, 'GET', `/v2/team/app/blobs/${wanted}`)
    expect(answer).toMatchObject({ status: 200, text: 'by sha512' })
    expect(answer.headers).toMatchObject({ 'docker-content-digest': wanted, etag: `"${wanted}"` })
    const other = await ask(port, 'GET', `/v2/team/app/blobs/${digestOf(bytesOf('by sha512'))}`)
    expect(other.status).toBe(404)
  })

  test('a blob that is larger than any buffer comes whole', async () => {
    const bytes = Buffer.alloc(9 * 1024 * 1024 + 7, 'abcdefghijklm')
    const large = await pushBlob(port, 'team/large', bytes)
    const answer = await ask(port, 'GET', `/v2/team/large/blobs/${large}`)
    expect(digestOf(answer.body)).toBe(large)
    const range = { Range: `bytes=1-${bytes.length - 2}` }
    const part = await ask(port, 'GET', `/v2/team/large/blobs/${large}`, { headers: range })
    expect(part.status).toBe(206)
    expect(part.body.equals(bytes.subarray(1, bytes.length - 1))).toBe(true)
  })
})

describe('Range (RFC 9110 section 14)', () => {
  const rows: [string, string, string, string | undefined][] = [
    ['one range', 'bytes=2-5', '2345', 'bytes 2-5/36'],
    ['the first byte', 'bytes=0-0', '0', 'bytes 0-0/36'],
    ['the last byte', 'bytes=35-35', 'z', 'bytes 35-35/36'],
    ['an open range', 'bytes=30-', 'uvwxyz', 'bytes 30-35/36'],
    ['an open range from the start', 'bytes=0-', TEXT, 'bytes 0-35/36'],
    ['a suffix', 'bytes=-3', 'xyz', 'bytes 33-35/36'],
    ['a suffix longer than the blob', 'bytes=-999', TEXT, 'bytes 0-35/36'],
    ['an end beyond the blob', 'bytes=34-99', 'yz', 'bytes 34-35/36'],
    ['a huge end', 'bytes=34-999999999999999', 'yz', 'bytes 34-35/36'],
    ['several ranges: ignored, as section 14.2 allows', 'bytes=0-1,4-5', TEXT, undefined],
    ['an end before the start: ignored (section 14.1.1)', 'bytes=5-2', TEXT, undefined],
    ['another unit: ignored', 'lines=1-2', TEXT, undefined],
    ['no number: ignored', 'bytes=-', TEXT, undefined],
    ['letters: ignored', 'bytes=a-b', TEXT, undefined],
    ['a minus too many: ignored', 'bytes=1--2', TEXT, undefined],
    ['nothing: ignored', '', TEXT, undefined],
  ]
  test.each(rows)('%s', async (_, range, body, contentRange) => {
    const answer = await ask(port, 'GET', path, { headers: { Range: range } })
    expect(answer).toMatchObject({ status: contentRange === undefined ? 200 : 206, text: body })
    expect(answer.all).toMatchObject({ ...known, 'content-length': [String(body.length)], 'accept-ranges': ['bytes'] })
    expect(answer.headers['content-range']).toBe(contentRange as string)
  })

  test.each([
    ['a start beyond the blob', 'bytes=36-'],
    ['a start far beyond', 'bytes=999999999999999-'],
    ['a suffix of nothing', 'bytes=-0'],
  ])('%s cannot be satisfied', async (_, range) => {
    const answer = await ask(port, 'GET', path, { headers: { Range: range } })
    expect(answer).toMatchObject({ status: 416, text: '' })
    expect(answer.headers['content-range']).toBe('bytes */36')
    expect(answer.headers['cache-control']).toBeUndefined()
  })

  test('HEAD knows no ranges (section 14.2)', async () => {
    for (const range of ['bytes=2-5', 'bytes=99-']) {
      const answer = await ask(port, 'HEAD', path, { headers: { Range: range } })
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({ 'content-length': '36' })
      expect(answer.headers['content-range']).toBeUndefined()
    }
  })

  const conditions: [string, string, number][] = [
    ['the entity tag: the part', etag, 206],
    ['another entity tag: the whole', '"sha256:other"', 200],
    ['a weak entity tag: the whole, for the comparison is strong', `W/${etag}`, 200],
    ['a date: the whole, for blobs have none', 'Wed, 21 Oct 2015 07:28:00 GMT', 200],
  ]
  test.each(conditions)('If-Range with %s', async (_, value, status) => {
    const answer = await ask(port, 'GET', path, { headers: { Range: 'bytes=1-2', 'If-Range': value } })
    expect(answer).toMatchObject({ status, text: status === 206 ? '12' : TEXT })
  })
})

describe('If-None-Match (RFC 9110 section 13.1.2)', () => {
  const rows: [string, Ask['headers'], number][] = [
    ['the entity tag', { 'If-None-Match': etag }, 304],
    ['a weak one', { 'If-None-Match': `W/${etag}` }, 304],
    ['a list', { 'If-None-Match': `"a", ${etag}, "b"` }, 304],
    ['several headers', { 'If-None-Match': ['"a"', etag] }, 304],
    ['any', { 'If-None-Match': '*' }, 304],
    ['the digest without quotes, as registry:2 takes it', { 'If-None-Match': digest }, 304],
    ['together with Range', { 'If-None-Match': etag, Range: 'bytes=1-2' }, 304],
    ['another', { 'If-None-Match': '"sha256:0"' }, 200],
    ['a part of it', { 'If-None-Match': `"${digest.slice(0, 20)}"` }, 200],
    ['nothing', { 'If-None-Match': '' }, 200],
  ]
  test.each(rows)('%s', async (_, headers, status) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(port, method, path, headers === undefined ? {} : { headers })
      expect([method, answer.status]).toEqual([method, status])
      expect(answer.all).toMatchObject({ etag: [etag], 'docker-content-digest': [digest] })
      expect(answer.text).toBe(status === 200 && method === 'GET' ? TEXT : '')
    }
  })
})

describe('OCI Distribution Specification 1.1, "Deleting Blobs" (end-10)', () => {
  test('takes it out of this repository alone', async () => {
    const bytes = 'to delete'
    const target = await pushBlob(port, 'delete/one', bytes)
    await pushBlob(port, 'delete/two', bytes)
    const answer = await ask(port, 'DELETE', `/v2/delete/one/blobs/${target}`)
    expect(answer).toMatchObject({ status: 202, text: '' })
    expect(answer.headers['content-length']).toBe('0')
    expect((await ask(port, 'HEAD', `/v2/delete/one/blobs/${target}`)).status).toBe(404)
    expect(codesOf(await ask(port, 'DELETE', `/v2/delete/one/blobs/${target}`))).toEqual(['BLOB_UNKNOWN'])
    expect((await ask(port, 'GET', `/v2/delete/two/blobs/${target}`)).text).toBe(bytes)
    // Pushed again, it is there again.
    await pushBlob(port, 'delete/one', bytes)
    expect((await ask(port, 'GET', `/v2/delete/one/blobs/${target}`)).text).toBe(bytes)
  })

  test('is denied while a manifest of the repository needs it, and says which', async () => {
    const config = await pushBlob(port, 'delete/used', 'config')
    const layer = await pushBlob(port, 'delete/used', 'layer')
    const manifest = await pushManifest(port, 'delete/used', 'latest', imageManifest('config', ['layer']))
    for (const blob of [config, layer]) {
      const answer = await ask(port, 'DELETE', `/v2/delete/used/blobs/${blob}`)
      expect(answer.status).toBe(403)
      expect(errorsOf(answer)).toEqual([
        {
          code: 'DENIED',
          message: `manifest ${manifest} needs this blob; delete that manifest first`,
          detail: { digest: blob, referencedBy: manifest },
        },
      ])
      expect((await ask(port, 'HEAD', `/v2/delete/used/blobs/${blob}`)).status).toBe(200)
    }
    await must(202, ask(port, 'DELETE', `/v2/delete/used/manifests/${manifest}`))
    await must(202, ask(port, 'DELETE', `/v2/delete/used/blobs/${layer}`))
  })

  test.each([
    ['deleting is off', { REGISTRY_STORAGE_DELETE_ENABLED: 'false' }],
    ['the registry is read-only', { REGISTRY_STORAGE_MAINTENANCE: '{"readonly":{"enabled":true}}' }],
  ])('is not supported where %s', async (_, env) => {
    const other = await startRegistry({ env })
    try {
      for (const target of [path, '/v2/team/app/manifests/latest', `/v2/team/app/manifests/${digest}`]) {
        const answer = await ask(other.port, 'DELETE', target)
        expect(answer.status).toBe(405)
        expect(codesOf(answer)).toEqual(['UNSUPPORTED'])
      }
    } finally {
      await other.stop()
    }
  })
})

describe('a blob whose file', () => {
  const file = (name: string) => {
    const hex = digestOf(bytesOf(name)).slice(7)
    return join(registry.directory, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
  }
  const rows: [string, (name: string) => void][] = [
    ['vanished', (name) => rmSync(file(name))],
    ['was cut', (name) => writeFileSync(file(name), name.slice(0, 3))],
    ['was emptied', (name) => writeFileSync(file(name), '')],
    ['grew', (name) => writeFileSync(file(name), `${name} and more`)],
  ]
  test.each(rows)(
    '%s is unknown, not an error, is not mounted, and comes back with the next push',
    async (how, damage) => {
      const bytes = `a blob that ${how}`
      const lost = await pushBlob(port, 'lost', bytes)
      await must(200, ask(port, 'GET', `/v2/lost/blobs/${lost}`))
      damage(bytes)
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(port, method, `/v2/lost/blobs/${lost}`)
        expect([method, answer.status]).toEqual([method, 404])
        if (method === 'GET') expect(codesOf(answer)).toEqual(['BLOB_UNKNOWN'])
      }
      const mount = await ask(port, 'POST', `/v2/found/blobs/uploads/?mount=${lost}&from=lost`)
      expect(mount.status).toBe(202)
      await must(204, ask(port, 'DELETE', placeOf(mount)))
      await pushBlob(port, 'found', bytes)
      for (const repository of ['lost', 'found']) {
        expect((await ask(port, 'GET', `/v2/${repository}/blobs/${lost}`)).text).toBe(bytes)
      }
    },
  )
})
