import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  CONFIG,
  codesOf,
  descriptorOf,
  errorsOf,
  imageManifest,
  indexOf,
  LAYER,
  must,
  pushBlob,
  pushManifest,
  putManifest,
} from './content.ts'
import { type Answer, ask } from './exchange.ts'

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

function expectManifest(answer: Answer, text: string, mediaType: string = ociManifest, withBody = true): void {
  const digest = digestOf(bytesOf(text))
  expect(answer).toMatchObject({ status: 200, text: withBody ? text : '' })
  expect(answer.all).toMatchObject({
    'content-type': [mediaType],
    'content-length': [String(bytesOf(text).length)],
    'docker-content-digest': [digest],
    etag: [`"${digest}"`],
    'docker-distribution-api-version': ['registry/2.0'],
  })
}

const image = imageManifest('config', ['layer'])
const dockerImage = JSON.stringify({
  schemaVersion: 2,
  mediaType: dockerManifest,
  config: descriptorOf('application/vnd.docker.container.image.v1+json', 'config'),
  layers: [descriptorOf('application/vnd.docker.image.rootfs.diff.tar.gzip', 'layer')],
})

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
    ["Docker's schema 2", dockerImage, dockerManifest],
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
})

describe('non-distributable layers (validation.manifests.urls)', () => {
  const foreign = (urls: unknown) =>
    imageManifest('config', [], {
      layers: [
        {
          ...descriptorOf('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'elsewhere'),
          ...(urls === undefined ? {} : { urls }),
        },
      ],
    })
  let strict: TestRegistry
  beforeAll(async () => {
    strict = await startRegistry({
      change: (config) => {
        config.validation.urls = { allow: ['^https://good\\.example/'], deny: ['/bad'] }
      },
    })
    await pushBlob(strict.port, 'app', 'config')
  })
  afterAll(() => strict.stop())

  const rows: [string, unknown, number, string | undefined][] = [
    ['an allowed URL', ['https://good.example/layer'], 201, undefined],
    ['a URL of another host', ['https://evil.example/layer'], 400, 'MANIFEST_INVALID'],
    ['a URL that is denied', ['https://good.example/bad'], 400, 'MANIFEST_INVALID'],
    ['one allowed and one not', ['https://good.example/layer', 'https://evil.example/'], 400, 'MANIFEST_INVALID'],
    ['a URL that is none', ['good'], 400, 'MANIFEST_INVALID'],
    ['a URL of another scheme', ['file:///etc/passwd'], 400, 'MANIFEST_INVALID'],
    ['a URL with a fragment', ['https://good.example/layer#x'], 400, 'MANIFEST_INVALID'],
    ['URLs that are no list', 'https://good.example/layer', 400, 'MANIFEST_INVALID'],
    ['no URL: the layer must be there', undefined, 400, 'MANIFEST_BLOB_UNKNOWN'],
    ['an empty list: the layer must be there', [], 400, 'MANIFEST_BLOB_UNKNOWN'],
  ]
  test.each(rows)('%s', async (_, urls, status, code) => {
    const answer = await putManifest(strict.port, 'app', 'foreign', foreign(urls))
    expect(answer.status).toBe(status)
    if (code !== undefined) expect(codesOf(answer)).toEqual([code])
  })

  test('without a list of allowed URLs none is', async () => {
    const answer = await putManifest(port, 'app', 'foreign', foreign(['https://good.example/layer']))
    expect(codesOf(answer)).toEqual(['MANIFEST_INVALID'])
    expect(String(errorsOf(answer)[0]?.detail)).toContain('https://good.example/layer')
  })

  test('an ordinary layer must be there, whatever URLs it names', async () => {
    const text = imageManifest('config', [], {
      layers: [{ ...descriptorOf(LAYER, 'elsewhere'), urls: ['https://good.example/layer'] }],
    })
    expect(codesOf(await putManifest(strict.port, 'app', 'x', text))).toEqual(['MANIFEST_BLOB_UNKNOWN'])
  })
})

describe('children of an index (validation.manifests.indexes)', () => {
  const child = (text: string, architecture?: string) => ({
    ...descriptorOf(ociManifest, text),
    ...(architecture === undefined ? {} : { platform: { os: 'linux', architecture } }),
  })
  const rows: [string, Parameters<typeof startRegistry>[0], string | undefined, number][] = [
    ['all: a missing child is refused', {}, 'arm64', 400],
    [
      'none: it is not looked at',
      {
        change: (config) => {
          config.validation.indexes = { platforms: 'none' }
        },
      },
      'arm64',
      201,
    ],
    [
      'list: a platform outside of it may be missing',
      {
        change: (config) => {
          config.validation.indexes = { platforms: 'list', list: [{ os: 'linux', architecture: 'amd64' }] }
        },
      },
      'arm64',
      201,
    ],
    [
      'list: a platform of it may not',
      {
        change: (config) => {
          config.validation.indexes = { platforms: 'list', list: [{ os: 'linux', architecture: 'amd64' }] }
        },
      },
      'amd64',
      400,
    ],
    [
      'list: a child without platform may be missing',
      {
        change: (config) => {
          config.validation.indexes = { platforms: 'list', list: [{ os: 'linux', architecture: 'amd64' }] }
        },
      },
      undefined,
      201,
    ],
    ['validation off: nothing is looked at', { env: { REGISTRY_VALIDATION_DISABLED: 'true' } }, 'amd64', 201],
  ]
  test.each(rows)('%s', async (_, options, architecture, status) => {
    const other = await startRegistry(options)
    try {
      const text = indexOf([child('missing', architecture)])
      const answer = await putManifest(other.port, 'app', 'index', text, ociIndex)
      expect(answer.status).toBe(status)
      if (status === 400) {
        expect(errorsOf(answer)).toEqual([
          { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry', detail: digestOf(bytesOf('missing')) },
        ])
      }
    } finally {
      await other.stop()
    }
  })

  test('an index of indexes of images', async () => {
    await must(201, putManifest(port, 'app', digestOf(bytesOf(image)), image))
    const inner = indexOf([child(image, 'amd64')])
    const outer = indexOf([{ ...descriptorOf(ociIndex, inner) }, child(image)])
    const early = await putManifest(port, 'app', 'outer', outer, ociIndex)
    expect(errorsOf(early).map(({ detail }) => detail)).toEqual([digestOf(bytesOf(inner))])
    await must(201, putManifest(port, 'app', digestOf(bytesOf(inner)), inner, ociIndex))
    await must(201, putManifest(port, 'app', 'outer', outer, ociIndex))
    expectManifest(await get('outer'), outer, ociIndex)
  })
})

describe('Accept (RFC 9110 section 12.5.1)', () => {
  const index = indexOf(
    [
      { ...descriptorOf(ociManifest, imageManifest('config', [])), platform: { os: 'linux', architecture: 'arm64' } },
      { ...descriptorOf(dockerManifest, dockerImage), platform: { os: 'linux', architecture: 'amd64' } },
    ],
    { mediaType: dockerList },
  )
  const withoutDefault = indexOf([
    { ...descriptorOf(ociManifest, imageManifest('config', [])), platform: { os: 'linux', architecture: 'arm64' } },
  ])
  beforeAll(async () => {
    for (const content of ['config', 'layer']) await pushBlob(port, 'accept', content)
    await pushManifest(port, 'accept', 'oci', image)
    await pushManifest(port, 'accept', 'arm', imageManifest('config', []))
    await pushManifest(port, 'accept', 'docker', dockerImage, dockerManifest)
    await pushManifest(port, 'accept', 'list', index, dockerList)
    await pushManifest(port, 'accept', 'index', withoutDefault, ociIndex)
  })

  const rows: [string, string, string, string | undefined, string][] = [
    ['an OCI manifest, asked for', 'oci', ociManifest, image, ociManifest],
    ['among others', 'oci', `${dockerManifest}, ${ociManifest}, ${ociIndex}`, image, ociManifest],
    ['in capitals', 'oci', ociManifest.toUpperCase(), image, ociManifest],
    ['with a quality', 'oci', `${dockerManifest}, ${ociManifest};q=0.1`, image, ociManifest],
    ['with anything', 'oci', '*/*', image, ociManifest],
    ['with any application type', 'oci', 'text/html, application/*;q=0.2', image, ociManifest],
    ['with nothing that can be read', 'oci', 'garbage', image, ociManifest],
    ['with an empty header', 'oci', '', image, ociManifest],
    ['refused by quality 0', 'oci', `${ociManifest};q=0, */*`, undefined, ''],
    ['not asked for', 'oci', dockerManifest, undefined, ''],
    [
      "Docker's manifest, not asked for: what every client can read",
      'docker',
      ociManifest,
      dockerImage,
      dockerManifest,
    ],
    ['a list, asked for', 'list', dockerList, index, dockerList],
    ['a list by a client that knows none: linux/amd64 of it', 'list', dockerManifest, dockerImage, dockerManifest],
    [
      'an index without linux/amd64 by a client that knows none',
      'index',
      `${dockerManifest}, ${ociManifest}`,
      undefined,
      '',
    ],
  ]
  test.each(rows)('%s', async (_, tag, accept, text, mediaType) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await get(tag, { Accept: accept }, method, 'accept')
      if (text !== undefined) expectManifest(answer, text, mediaType, method === 'GET')
      else {
        expect(answer.status).toBe(404)
        if (method === 'GET') {
          expect(codesOf(answer)).toEqual(['MANIFEST_UNKNOWN'])
          expect(errorsOf(answer)[0]?.message).toMatch(
            /^OCI (manifest|index) found, but accept header does not support OCI (manifests|indexs|indexes)$/,
          )
        }
      }
    }
  })

  test('several headers are one list', async () => {
    const answer = await ask(port, 'GET', '/v2/accept/manifests/oci', { headers: { Accept: ['a/b', ociManifest] } })
    expectManifest(answer, image)
  })

  test('by digest a list stays a list: the bytes must be those of the digest', async () => {
    const answer = await get(digestOf(bytesOf(index)), { Accept: dockerManifest }, 'GET', 'accept')
    expect(answer.status).toBe(404)
    expect(codesOf(answer)).toEqual(['MANIFEST_UNKNOWN'])
  })

  const etag = `"${digestOf(bytesOf(image))}"`
  test.each([
    ['the entity tag', etag, 304],
    ['a weak one in a list', `"x", W/${etag}`, 304],
    ['the digest itself', digestOf(bytesOf(image)), 304],
    ['any', '*', 304],
    ['another', '"sha256:0"', 200],
  ])('If-None-Match with %s', async (_, value, status) => {
    const answer = await get('oci', { 'If-None-Match': value }, 'GET', 'accept')
    expect(answer).toMatchObject({ status, text: status === 200 ? image : '' })
    expect(answer.headers).toMatchObject({ etag, 'docker-content-digest': digestOf(bytesOf(image)) })
  })
})

describe('what is not there', () => {
  const none = `sha256:${'0'.repeat(64)}`
  test.each([
    ['a tag', 'app', 'nope', 'unknown tag=nope'],
    ['a digest', 'app', none, `unknown manifest name=app revision=${none}`],
    ['a tag of a repository that is not there', 'nowhere', 'latest', 'unknown tag=latest'],
    ['a tag that is no tag', 'app', '-x', 'unknown tag=-x'],
    ['a digest that is no digest', 'app', 'sha256:abc', 'unknown tag=sha256:abc'],
  ])('%s', async (_, repository, reference, detail) => {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const answer = await get(reference, {}, method, repository)
      expect([method, answer.status]).toEqual([method, 404])
      if (method === 'HEAD') continue
      expect(answer.text).toBe(
        `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"${detail}"}]}\n`,
      )
    }
  })
})

describe('"Deleting tags" and "Deleting Manifests" (end-9)', () => {
  const tagsOf = async () => (await ask(port, 'GET', '/v2/gone/tags/list')).text
  const text = (note: string) => imageManifest('config', ['layer'], { annotations: { note } })
  beforeAll(async () => {
    for (const content of ['config', 'layer']) await pushBlob(port, 'gone', content)
    for (const tag of ['a1', 'a2', 'a3']) await pushManifest(port, 'gone', tag, text('a'))
    await pushManifest(port, 'gone', 'b1', text('b'))
  })

  test('a tag alone goes by its name, and by its digest the manifest with every tag', async () => {
    const digest = digestOf(bytesOf(text('a')))
    const answer = await get('a1', {}, 'DELETE', 'gone')
    expect(answer).toMatchObject({ status: 202, text: '' })
    expect(answer.headers['content-length']).toBe('0')
    expect((await get('a1', {}, 'GET', 'gone')).status).toBe(404)
    expect((await get('a1', {}, 'DELETE', 'gone')).status).toBe(404)
    for (const reference of ['a2', digest]) expect((await get(reference, {}, 'GET', 'gone')).status).toBe(200)
    expect(await tagsOf()).toBe('{"name":"gone","tags":["a2","a3","b1"]}\n')

    await must(202, get(digest, {}, 'DELETE', 'gone'))
    for (const reference of ['a2', 'a3', digest]) expect((await get(reference, {}, 'GET', 'gone')).status).toBe(404)
    expect(await tagsOf()).toBe('{"name":"gone","tags":["b1"]}\n')
    expect((await get(digest, {}, 'DELETE', 'gone')).status).toBe(404)

    // Its blobs stay, so that the manifest can be pushed again.
    await must(201, putManifest(port, 'gone', 'a4', text('a')))
    expect(await tagsOf()).toBe('{"name":"gone","tags":["a4","b1"]}\n')
  })

  test('another repository with the same manifest keeps it', async () => {
    for (const repository of ['same/one', 'same/two']) {
      for (const content of ['config', 'layer']) await pushBlob(port, repository, content)
      await pushManifest(port, repository, 'latest', image)
    }
    await must(202, get(digestOf(bytesOf(image)), {}, 'DELETE', 'same/one'))
    expect((await get('latest', {}, 'GET', 'same/one')).status).toBe(404)
    expectManifest(await get('latest', {}, 'GET', 'same/two'), image)
  })

  test('a child goes though its index stays, and can come back', async () => {
    const child = text('child')
    const index = indexOf([descriptorOf(ociManifest, child)])
    await pushManifest(port, 'gone', 'child', child)
    await pushManifest(port, 'gone', 'parent', index, ociIndex)
    await must(202, get(digestOf(bytesOf(child)), {}, 'DELETE', 'gone'))
    expectManifest(await get('parent', {}, 'GET', 'gone'), index, ociIndex)
    await pushManifest(port, 'gone', 'child', child)
    expectManifest(await get(digestOf(bytesOf(child)), {}, 'GET', 'gone'), child)
  })
})

test('a manifest outlives the server, byte for byte', async () => {
  const { directory } = registry
  const text = `${imageManifest('config', ['layer'], { annotations: { last: 'one' } })}\n \n`
  await must(201, putManifest(port, 'app', 'stays', text))
  await registry.stop()
  registry = await startRegistry({ directory, env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  expectManifest(await get('stays'), text)
  expect((await ask(port, 'GET', `/v2/app/blobs/${digestOf(bytesOf('layer'))}`)).text).toBe('layer')
})
