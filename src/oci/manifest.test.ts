import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { RegistryError } from './error.ts'
import { defaultChild, parseManifest, referrersTag } from './manifest.ts'
import { MEDIA_TYPES } from './media-type.ts'

const DIGEST = `sha256:${'a'.repeat(64)}` as const
const CONFIG = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: DIGEST, size: 2 }
const LAYER = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: DIGEST, size: 10 }
const IMAGE = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: CONFIG, layers: [LAYER] }
const INDEX = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociIndex,
  manifests: [{ ...LAYER, mediaType: MEDIA_TYPES.ociManifest }],
}

const bytes = (json: unknown) => new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json))

function refusal(json: unknown, contentType: string | null): string {
  try {
    parseManifest(bytes(json), contentType)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'MANIFEST_INVALID') return String(error.detail)
    throw error
  }
  return 'taken'
}

describe('a manifest is taken', () => {
  const rows: [string, unknown, string | null, string][] = [
    ['OCI image', IMAGE, MEDIA_TYPES.ociManifest, MEDIA_TYPES.ociManifest],
    [
      'OCI image without a mediaType of its own',
      { ...IMAGE, mediaType: undefined },
      MEDIA_TYPES.ociManifest,
      MEDIA_TYPES.ociManifest,
    ],
    ['OCI image without layers', { ...IMAGE, layers: [] }, MEDIA_TYPES.ociManifest, MEDIA_TYPES.ociManifest],
    ['OCI index', INDEX, MEDIA_TYPES.ociIndex, MEDIA_TYPES.ociIndex],
    ['OCI index without children', { ...INDEX, manifests: [] }, MEDIA_TYPES.ociIndex, MEDIA_TYPES.ociIndex],
    [
      'Docker image',
      { ...IMAGE, mediaType: MEDIA_TYPES.dockerManifest },
      MEDIA_TYPES.dockerManifest,
      MEDIA_TYPES.dockerManifest,
    ],
    ['Docker list', { ...INDEX, mediaType: MEDIA_TYPES.dockerList }, MEDIA_TYPES.dockerList, MEDIA_TYPES.dockerList],
    ['parameters of the Content-Type', IMAGE, `${MEDIA_TYPES.ociManifest}; charset=utf-8`, MEDIA_TYPES.ociManifest],
    ['no Content-Type: the body says', IMAGE, null, MEDIA_TYPES.ociManifest],
    ['plain JSON: the body says', INDEX, 'application/json', MEDIA_TYPES.ociIndex],
    ['neither says: children make an index', { ...INDEX, mediaType: undefined }, null, MEDIA_TYPES.ociIndex],
  ]
  test.each(rows)('%s', (_, json, contentType, mediaType) => {
    expect(parseManifest(bytes(json), contentType).mediaType as string).toBe(mediaType)
  })

  test('with what the registry reads of it', () => {
    const annotations = { 'org.example.a': 'b' }
    const subject = { ...LAYER, mediaType: MEDIA_TYPES.ociManifest }
    const layer = { ...LAYER, urls: ['https://example.org/l'], data: 'e30=', annotations, platform: { os: 'linux' } }
    expect(
      parseManifest(bytes({ ...IMAGE, layers: [layer], subject, annotations, artifactType: 'x/y' }), null),
    ).toEqual({
      mediaType: MEDIA_TYPES.ociManifest,
      config: CONFIG,
      layers: [{ ...LAYER, urls: ['https://example.org/l'], annotations, platform: { os: 'linux' } }],
      manifests: [],
      subject,
      artifactType: 'x/y',
      annotations,
    })
  })

  test("an artifact without a type of its own has its config's", () => {
    expect(parseManifest(bytes(IMAGE), null).artifactType).toBe(CONFIG.mediaType)
    expect(parseManifest(bytes({ ...IMAGE, artifactType: '' }), null).artifactType).toBe(CONFIG.mediaType)
  })
})

describe('a manifest is refused with what is wrong', () => {
  const oci = MEDIA_TYPES.ociManifest
  const rows: [string, unknown, string | null, string][] = [
    ['no JSON', '{', oci, 'the body is not JSON in UTF-8'],
    ['nothing', '', oci, 'the body is not JSON in UTF-8'],
    ['a list', '[]', oci, 'the body is not a JSON object'],
    ['null', 'null', oci, 'the body is not a JSON object'],
    ['lists 100,000 deep', '['.repeat(100_000), oci, 'the body nests deeper than 100 levels'],
    ['another media type in the body', IMAGE, MEDIA_TYPES.dockerManifest, 'mediaType: the body says'],
    ['schema version 3', { ...IMAGE, schemaVersion: 3 }, oci, 'schemaVersion: expected 2, found 3'],
    ['no schema version', { ...IMAGE, schemaVersion: undefined }, oci, 'schemaVersion: expected 2, found nothing'],
    ['an image with children', { ...IMAGE, manifests: [] }, oci, 'an image manifest has no manifests'],
    ['an index with a config', { ...INDEX, config: CONFIG }, MEDIA_TYPES.ociIndex, 'an index has no config'],
    ['an index with layers', { ...INDEX, layers: [] }, MEDIA_TYPES.ociIndex, 'an index has no config'],
    ['no config', { ...IMAGE, config: undefined }, oci, 'config: expected a descriptor'],
    ['other layers for clients in Go', { ...IMAGE, Layers: [] }, oci, 'Layers: it is written layers'],
    ['layers with a long s', { ...IMAGE, 'layer\u017f': [] }, oci, 'layer\u017f: it is written layers'],
    ['a layer of two digests', { ...IMAGE, layers: [{ ...LAYER, DIGEST: 'x' }] }, oci, 'layers[0].DIGEST: it is'],
    ['layers that are no list', { ...IMAGE, layers: {} }, oci, 'layers: expected a list'],
    ['a layer without digest', { ...IMAGE, layers: [{ ...LAYER, digest: 'x' }] }, oci, 'layers[0].digest'],
    ['a layer of negative size', { ...IMAGE, layers: [LAYER, { ...LAYER, size: -1 }] }, oci, 'layers[1].size'],
    ['a layer of half a byte', { ...IMAGE, layers: [{ ...LAYER, size: 0.5 }] }, oci, 'layers[0].size'],
    ['a layer without media type', { ...IMAGE, layers: [{ ...LAYER, mediaType: '' }] }, oci, 'layers[0].mediaType'],
    ['urls that are no texts', { ...IMAGE, layers: [{ ...LAYER, urls: [1] }] }, oci, 'layers[0].urls'],
    ['annotations that are no texts', { ...IMAGE, annotations: { a: 1 } }, oci, 'annotations'],
    ['a subject that is no descriptor', { ...IMAGE, subject: 'x' }, oci, 'subject: expected a descriptor'],
    ['an artifact type that is no text', { ...IMAGE, artifactType: 1 }, oci, 'artifactType'],
    ['a form', IMAGE, 'application/x-www-form-urlencoded', 'is not a media type of manifests'],
    [
      'schema 1 by header',
      { schemaVersion: 1 },
      MEDIA_TYPES.dockerManifestV1Signed,
      'pull the image with Docker 1.10 or newer',
    ],
    ['schema 1 by body', { schemaVersion: 1 }, null, 'pull the image with Docker 1.10 or newer'],
  ]
  test.each(rows)('%s', (_, json, contentType, expected) => {
    expect(refusal(json, contentType)).toContain(expected)
  })

  test('any JSON, never with another error', () => {
    const shape = fc.record(
      {
        schemaVersion: fc.constant(2),
        config: fc.jsonValue(),
        layers: fc.jsonValue(),
        manifests: fc.jsonValue(),
        subject: fc.jsonValue(),
        annotations: fc.jsonValue(),
      },
      { requiredKeys: ['schemaVersion'] },
    )
    fc.assert(
      fc.property(fc.oneof(fc.json(), shape), (json) => typeof refusal(json, MEDIA_TYPES.ociManifest) === 'string'),
      { seed: 20_260_101 },
    )
    fc.assert(
      fc.property(fc.uint8Array(), (garbage) => typeof refusal(new TextDecoder().decode(garbage), null) === 'string'),
      { seed: 20_260_101 },
    )
  })
})

test('the default child of an index is linux/amd64', () => {
  const child = (os: string, architecture: string, digit: string) => ({
    ...LAYER,
    mediaType: MEDIA_TYPES.ociManifest,
    digest: `sha256:${digit.repeat(64)}`,
    platform: { os, architecture },
  })
  const index = {
    ...INDEX,
    manifests: [child('linux', 'arm64', '1'), child('linux', 'amd64', '2'), child('windows', 'amd64', '3')],
  }
  expect(defaultChild(parseManifest(bytes(index), null))).toBe(`sha256:${'2'.repeat(64)}`)
  expect(defaultChild(parseManifest(bytes(INDEX), null))).toBeUndefined()
})

test('the referrers tag cuts the encoded part at 64 characters', () => {
  expect(referrersTag(DIGEST)).toBe(`sha256-${'a'.repeat(64)}`)
  expect(referrersTag(`sha512:${'b'.repeat(128)}`)).toBe(`sha512-${'b'.repeat(64)}`)
})
