import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  CONFIG,
  codesOf,
  DOCKER_IMAGE,
  descriptorOf,
  errorsOf,
  imageManifest,
  indexOf,
  LAYER,
  must,
  pushBlob,
  putManifest,
} from './content.ts'
import { ask } from './exchange.ts'
import { expectManifest } from './expectations.ts'

const { ociManifest, ociIndex, dockerManifest, dockerList } = MEDIA_TYPES
const LIMIT = 4 * 1024 * 1024

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  for (const content of ['config', 'layer', '{}']) await pushBlob(port, 'app', content)
})
afterAll(() => registry.stop())

const get = (reference: string, headers: Record<string, string> = {}, method = 'GET', repository = 'app') =>
  ask(port, method, `/v2/${repository}/manifests/${reference}`, { headers })

const image = imageManifest('config', ['layer'])

describe('OCI Distribution Specification 1.1, "Pushing Manifests" (end-7)', () => {
  const rows: [string, string, string][] = [
    ['an OCI manifest', image, ociManifest],
    ['an OCI manifest with odd white space', `\n\t ${image.replaceAll(',', ' ,\r\n ')}\n\n`, ociManifest],
    ['an OCI manifest that does not say what it is', image.replace(`"mediaType":"${ociManifest}",`, ''), ociManifest],
    ['an OCI manifest with fields nobody knows', imageManifest('config', ['layer'], { x: [{ y: null }] }), ociManifest],
    [
      'an OCI manifest with text of all the world',
      imageManifest('config', [], { annotations: { a: 'é😀\u0000' } }),
      ociManifest,
    ],
    ['an OCI manifest without layers', imageManifest('config', []), ociManifest],
    ['an OCI manifest whose layers are null', imageManifest('config', [], { layers: null }), ociManifest],
    ['the same layer twice', imageManifest('config', ['layer', 'layer']), ociManifest],
    [
      'a layer with its bytes in data',
      imageManifest('config', [], { layers: [{ ...descriptorOf(LAYER, 'layer'), data: 'bGF5ZXI=' }] }),
      ociManifest,
    ],
    [
      'an artifact with an empty config and a subject that is not there',
      imageManifest('{}', [], {
        config: descriptorOf(MEDIA_TYPES.ociEmpty, '{}'),
        artifactType: 'application/vnd.example',
        subject: descriptorOf(ociManifest, 'not there'),
      }),
      ociManifest,
    ],
    ["Docker's schema 2", DOCKER_IMAGE, dockerManifest],
    ['an empty OCI index', indexOf([]), ociIndex],
    ['an empty Docker list', indexOf([], { mediaType: dockerList }), dockerList],
    ['an OCI index that does not say what it is', '{"schemaVersion":2,"manifests":[]}', ociIndex],
  ]
  test.each(rows)('%s comes back as it went, by tag and by digest', async (row, text, mediaType) => {
    const tag = `row-${rows.findIndex(([name]) => name === row)}`
    const digest = digestOf(bytesOf(text))
    const answer = await putManifest(port, 'app', tag, text, mediaType)
    expect(answer).toMatchObject({ status: 201, text: '' })
    expect(answer.all).toMatchObject({
      location: [`http://127.0.0.1:${port}/v2/app/manifests/${digest}`],
      'docker-content-digest': [digest],
      'content-length': ['0'],
      'docker-distribution-api-version': ['registry/2.0'],
    })
    for (const reference of [tag, digest]) {
      expectManifest(await get(reference), text, mediaType)
      expectManifest(await get(reference, {}, 'HEAD'), text, mediaType, false)
    }
    // Once more, by digest: nothing changes.
    await must(201, putManifest(port, 'app', digest, text, mediaType))
    expectManifest(await get(tag), text, mediaType)
  })

  const types: [string, string, string][] = [
    ['with parameters', `${ociManifest}; charset=utf-8`, ociManifest],
    ['in capitals', ociManifest.toUpperCase(), ociManifest],
    ['plain JSON, by its own mediaType', 'application/json', ociManifest],
    ['absent, by its own mediaType', '', ociManifest],
  ]
  test.each(types)('a Content-Type %s', async (_, contentType, mediaType) => {
    await must(201, putManifest(port, 'app', 'typed', image, contentType))
    expectManifest(await get('typed'), image, mediaType)
  })

  const invalid: [string, string | Uint8Array, string, string | RegExp][] = [
    ['nothing', '', ociManifest, 'the body is not JSON in UTF-8'],
    ['no JSON', '{"schemaVersion":2', ociManifest, 'the body is not JSON in UTF-8'],
    ['JSON with something behind it', `${image}x`, ociManifest, 'the body is not JSON in UTF-8'],
    ['JSON after a byte order mark', `\uFEFF${image}`, ociManifest, 'the body is not JSON in UTF-8'],
    ['bytes that are no UTF-8', Buffer.from('7b22ff223a317d', 'hex'), ociManifest, 'the body is not JSON in UTF-8'],
    ['a list', '[]', ociManifest, 'the body is not a JSON object'],
    ['null', 'null', ociManifest, 'the body is not a JSON object'],
    ['an empty object', '{}', ociManifest, 'schemaVersion: expected 2, found nothing'],
    [
      'schemaVersion as text',
      imageManifest('config', [], { schemaVersion: '2' }),
      ociManifest,
      'schemaVersion: expected 2, found "2"',
    ],
    [
      'schemaVersion 3',
      imageManifest('config', [], { schemaVersion: 3 }),
      ociManifest,
      'schemaVersion: expected 2, found 3',
    ],
    ['no config', '{"schemaVersion":2}', ociManifest, 'config: expected a descriptor'],
    [
      'a digest that is none',
      imageManifest('config', [], { layers: [{ mediaType: LAYER, size: 1, digest: 'x' }] }),
      ociManifest,
      'layers[0].digest: expected a sha256 or sha512 digest, found "x"',
    ],
    [
      'a negative size',
      imageManifest('config', [], { config: { ...descriptorOf(CONFIG, 'config'), size: -1 } }),
      ociManifest,
      'config.size: expected a number of bytes, found -1',
    ],
    [
      'a size in text',
      imageManifest('config', [], { config: { ...descriptorOf(CONFIG, 'config'), size: '6' } }),
      ociManifest,
      'config.size: expected a number of bytes, found "6"',
    ],
    [
      'annotations that are no text',
      imageManifest('config', [], { annotations: { a: 1 } }),
      ociManifest,
      'annotations: expected a map of texts',
    ],
    [
      'a subject that is none',
      imageManifest('config', [], { subject: 'x' }),
      ociManifest,
      'subject: expected a descriptor',
    ],
    ['layers that are no list', imageManifest('config', [], { layers: {} }), ociManifest, 'layers: expected a list'],
    ['another type in the body', image, ociIndex, /^mediaType: the body says/],
    [
      'a manifest said to be an index',
      image.replace(ociManifest, ociIndex),
      ociIndex,
      'an index has no config and no layers',
    ],
    [
      'an index said to be a manifest',
      '{"schemaVersion":2,"manifests":[]}',
      ociManifest,
      'an image manifest has no manifests',
    ],
    ['a type that is no manifest', image, 'text/html', 'Content-Type: "text/html" is not a media type of manifests'],
    ['a form', image, 'application/x-www-form-urlencoded', /is not a media type of manifests/],
    ['bytes without a type', image, 'application/octet-stream', /is not a media type of manifests/],
    [
      'an unknown mediaType in the body',
      image.replace(ociManifest, 'a/b'),
      'application/json',
      'mediaType: "a/b" is not a media type of manifests',
    ],
    [
      'schema 1',
      '{"schemaVersion":1,"name":"app","tag":"x"}',
      MEDIA_TYPES.dockerManifestV1,
      /schema 1 is not supported: pull the image with Docker 1.10 or newer/,
    ],
    [
      'signed schema 1',
      '{"schemaVersion":1,"name":"app"}',
      MEDIA_TYPES.dockerManifestV1Signed,
      /schema 1 is not supported/,
    ],
    ['schema 1 that does not say so', '{"schemaVersion":1,"name":"app"}', '', /schema 1 is not supported/],
    [
      'a tower of brackets',
      `{"schemaVersion":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`,
      ociManifest,
      'the body nests deeper than 100 levels',
    ],
    [
      'a tower of objects that never ends',
      '{"a":'.repeat(700_000),
      ociManifest,
      'the body nests deeper than 100 levels',
    ],
  ]
  test.each(invalid)('%s is MANIFEST_INVALID, and says why', async (_, text, contentType, detail) => {
    const answer = await putManifest(port, 'app', 'invalid', text, contentType)
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toHaveLength(1)
    expect(errorsOf(answer)[0]).toMatchObject({ code: 'MANIFEST_INVALID', message: 'manifest invalid' })
    const said = String(errorsOf(answer)[0]?.detail)
    if (typeof detail === 'string') expect(said).toBe(detail)
    else expect(said).toMatch(detail)
    expect((await get('invalid')).status).toBe(404)
  })

  test('brackets in texts are no nesting', async () => {
    await must(
      201,
      putManifest(port, 'app', 'brackets', imageManifest('config', [], { annotations: { a: '[{\\"'.repeat(500) } })),
    )
  })

  test('4 MiB are taken, and not a byte more', async () => {
    const padded = (size: number) => `${image}${' '.repeat(size - image.length)}`
    await must(201, putManifest(port, 'app', 'largest', padded(LIMIT)))
    expectManifest(await get('largest'), padded(LIMIT))
    for (const body of [padded(LIMIT + 1), [padded(LIMIT), ' ']]) {
      const headers = { 'Content-Type': ociManifest }
      const answer = await ask(port, 'PUT', '/v2/app/manifests/larger', { body, headers })
      expect(answer.status).toBe(413)
      expect(answer.text).toBe(
        '{"errors":[{"code":"MANIFEST_INVALID","message":"manifest too large","detail":"at most 4194304 bytes"}]}\n',
      )
    }
    expect((await get('larger')).status).toBe(404)
  })

  test('blobs that the repository has not are named, each', async () => {
    const known = descriptorOf(LAYER, 'layer').digest
    const missing = ['missing config', 'missing 1', 'missing 2'].map((text) => digestOf(bytesOf(text)))
    const answer = await putManifest(
      port,
      'app',
      'x',
      imageManifest('missing config', ['missing 1', 'layer', 'missing 2']),
    )
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toEqual(
      missing.map((detail) => ({ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry', detail })),
    )
    expect(answer.text).not.toContain(known)
    // Another repository has them not, whatever this one has.
    const other = await putManifest(port, 'other', 'x', image)
    expect(codesOf(other)).toEqual(['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
    expect((await ask(port, 'GET', '/v2/other/tags/list')).status).toBe(404)
  })

  test('of thousands of missing blobs the first hundred are named', async () => {
    const layers = Array.from({ length: 5000 }, (_, index) => `missing ${index}`)
    const answer = await putManifest(port, 'app', 'x', imageManifest('config', layers))
    expect(answer.status).toBe(400)
    expect(codesOf(answer)).toEqual(Array.from({ length: 100 }, () => 'MANIFEST_BLOB_UNKNOWN'))
  })

  test('a digest in the path must be the digest of the bytes', async () => {
    const expected = digestOf(bytesOf('something else'))
    const answer = await putManifest(port, 'app', expected, image)
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toEqual([
      {
        code: 'DIGEST_INVALID',
        message: 'provided digest did not match uploaded content',
        detail: { expected, actual: digestOf(bytesOf(image)) },
      },
    ])
  })

  test('sha512 in the path is what it is stored under', async () => {
    const digest = digestOf(bytesOf(image), 'sha512')
    const answer = await must(201, putManifest(port, 'app', `${digest}?tag=by-sha512`, image))
    expect(answer.headers).toMatchObject({
      'docker-content-digest': digest,
      location: `http://127.0.0.1:${port}/v2/app/manifests/${digest}`,
    })
    for (const reference of [digest, 'by-sha512']) {
      const found = await get(reference)
      expect(found).toMatchObject({ status: 200, text: image })
      expect(found.headers).toMatchObject({ 'docker-content-digest': digest, etag: `"${digest}"` })
    }
  })

  test('?tag= sets further tags, and OCI-Tag tells which', async () => {
    const text = imageManifest('config', ['layer'], { annotations: { tags: 'many' } })
    const digest = digestOf(bytesOf(text))
    const answer = await must(
      201,
      putManifest(port, 'tags', `${digest}?tag=a&tag=b&tag=a`, text).then(async (first) => {
        if (first.status === 201) return first
        for (const content of ['config', 'layer']) await pushBlob(port, 'tags', content)
        return await putManifest(port, 'tags', `${digest}?tag=a&tag=b&tag=a`, text)
      }),
    )
    expect(answer.headers['oci-tag']).toBe('a, b')
    await must(201, putManifest(port, 'tags', 'c?tag=d', text))
    const tags = await ask(port, 'GET', '/v2/tags/tags/list')
    expect(tags.text).toBe('{"name":"tags","tags":["a","b","c","d"]}\n')
  })

  test.each([
    ['a tag that begins with a dot', '.x', 'TAG_INVALID'],
    ['a tag that begins with a hyphen', '-x', 'TAG_INVALID'],
    ['a tag of 129 characters', 'x'.repeat(129), 'TAG_INVALID'],
    ['a tag with a strange character', 'a+b', 'TAG_INVALID'],
    ['a tag with an encoded space', 'a%20b', 'TAG_INVALID'],
    ['one bad tag among good ones', 'good?tag=fine&tag=not%20fine', 'TAG_INVALID'],
    ['an empty tag', 'good?tag=', 'TAG_INVALID'],
    ['a digest that is too short', 'sha256:abc', 'DIGEST_INVALID'],
    ['a digest of an unknown algorithm', `md5:${'0'.repeat(32)}`, 'DIGEST_INVALID'],
    [
      'a hundred and one tags',
      `x?${Array.from({ length: 101 }, (_, index) => `tag=t${index}`).join('&')}`,
      'TAG_INVALID',
    ],
  ])('%s is refused, and nothing is stored', async (_, reference, code) => {
    const answer = await putManifest(
      port,
      'app',
      reference,
      imageManifest('config', [], { annotations: { reference } }),
    )
    expect(answer.status).toBe(400)
    expect(codesOf(answer)).toEqual([code])
    expect((await get('good')).status).toBe(404)
  })

  test('a tag of 128 characters is one', async () => {
    await must(201, putManifest(port, 'app', 'x'.repeat(128), image))
    expectManifest(await get('x'.repeat(128)), image)
  })

  test('a tag moves, at once and for everyone', async () => {
    for (let round = 0; round < 20; round++) {
      const text = imageManifest('config', ['layer'], { annotations: { round: String(round) } })
      await must(201, putManifest(port, 'app', 'moving', text))
      expectManifest(await get('moving'), text)
    }
  })

  test('a tag moves, and no read that begins afterwards sees the old one, however many read meanwhile', async () => {
    const text = (round: number) => imageManifest('config', ['layer'], { annotations: { crowd: String(round) } })
    const rounds = 15
    await must(201, putManifest(port, 'app', 'crowded', text(0)))
    let acknowledged = 0
    let wrong = 0
    const reader = async () => {
      while (acknowledged < rounds) {
        const before = acknowledged
        const answer = await get('crowded')
        const seen = Number((JSON.parse(answer.text) as { annotations: { crowd: string } }).annotations.crowd)
        if (seen < before) wrong++
      }
    }
    const readers = Array.from({ length: 6 }, reader)
    for (let round = 1; round <= rounds; round++) {
      await must(201, putManifest(port, 'app', 'crowded', text(round)))
      acknowledged = round
    }
    await Promise.all(readers)
    expect(wrong).toBe(0)
  })
})

test('a manifest outlives the server, byte for byte', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-test-'))
  try {
    const text = `${imageManifest('config', ['layer'], { annotations: { last: 'one' } })}\n \n`
    const first = await startRegistry({ directory })
    for (const content of ['config', 'layer']) await pushBlob(first.port, 'app', content)
    await must(201, putManifest(first.port, 'app', 'stays', text))
    await first.stop()
    const second = await startRegistry({ directory })
    const found = await ask(second.port, 'GET', '/v2/app/manifests/stays')
    const layer = await ask(second.port, 'GET', `/v2/app/blobs/${digestOf(bytesOf('layer'))}`)
    await second.stop()
    expect(found).toMatchObject({ status: 200, text })
    expect(layer).toMatchObject({ status: 200, text: 'layer' })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
