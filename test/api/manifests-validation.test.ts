import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  codesOf,
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

const { ociManifest, ociIndex } = MEDIA_TYPES

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

  test('what is no manifest by its type may be a blob, as in the caches of BuildKit', async () => {
    const cache = { mediaType: 'application/vnd.buildkit.cacheconfig.v0', digest: digestOf(bytesOf('cache')), size: 5 }
    const text = indexOf([descriptorOf(LAYER, 'layer'), cache])
    const early = await putManifest(port, 'app', 'cache', text, ociIndex)
    expect(errorsOf(early)).toEqual([
      { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry', detail: cache.digest },
    ])
    await pushBlob(port, 'app', 'cache')
    await must(201, putManifest(port, 'app', 'cache', text, ociIndex))
    expectManifest(await get('cache'), text, ociIndex)
    const deleted = await ask(port, 'DELETE', `/v2/app/blobs/${cache.digest}`)
    expect([deleted.status, codesOf(deleted)]).toEqual([403, ['DENIED']])
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
