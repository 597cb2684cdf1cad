import { describe, expect, test } from 'bun:test'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import type { Manifest } from '../oci/manifest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { type Policy, referencesOf } from './validation.ts'

const descriptor = (name: string, more: Partial<Descriptor> = {}): Descriptor => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest: digestOf(Buffer.from(name)),
  size: 1,
  ...more,
})
const child = (name: string, more: Partial<Descriptor> = {}) =>
  descriptor(name, { mediaType: MEDIA_TYPES.ociManifest, ...more })
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
const NONDISTRIBUTABLE = 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd'

const image = (layers: Descriptor[]): Manifest => ({
  mediaType: MEDIA_TYPES.ociManifest,
  config: descriptor('config'),
  layers,
  manifests: [],
  subject: descriptor('subject'),
  artifactType: undefined,
  annotations: undefined,
})
const policy: Policy = {
  enabled: true,
  classes: [],
  allowsUrl: (url) => url.includes('good'),
  requiresChild: ({ platform }) => platform?.os !== 'windows',
}

/** `name` where it must be there, `(name)` where it need not. */
function shown(manifest: Manifest, names: readonly string[], given: Policy = policy): string[] {
  const known = new Map(names.map((name) => [descriptor(name).digest as string, name]))
  return referencesOf(manifest, given).map(({ digest, kind, required }) => {
    const text = `${kind} ${known.get(digest)}`
    return required ? text : `(${text})`
  })
}

describe('what an image names', () => {
  const names = ['config', 'a', 'b', 'subject']
  const rows: [string, Descriptor[], string[]][] = [
    ['its config and layers, not its subject', [descriptor('a'), descriptor('b')], ['blob config', 'blob a', 'blob b']],
    ['a layer once, however often it comes', [descriptor('a'), descriptor('a')], ['blob config', 'blob a']],
    [
      'a layer that is elsewhere',
      [descriptor('a', { mediaType: FOREIGN, urls: ['http://good/'] })],
      ['blob config', '(blob a)'],
    ],
    [
      'one of the OCI',
      [descriptor('a', { mediaType: NONDISTRIBUTABLE, urls: ['https://good/'] })],
      ['blob config', '(blob a)'],
    ],
    ['one without a URL', [descriptor('a', { mediaType: FOREIGN })], ['blob config', 'blob a']],
    ['an ordinary layer with a URL', [descriptor('a', { urls: ['http://good/'] })], ['blob config', 'blob a']],
    [
      'a layer that one mention needs and the other does not',
      [descriptor('a', { mediaType: FOREIGN, urls: ['http://good/'] }), descriptor('a')],
      ['blob config', 'blob a'],
    ],
  ]
  test.each(rows)('%s', (_, layers, expected) => {
    expect(shown(image(layers), names)).toEqual(expected)
  })

  test('need not be there where validation is off, nor do its URLs count', () => {
    const layers = [descriptor('a', { urls: ['file:///x'] })]
    expect(shown(image(layers), names, { ...policy, enabled: false })).toEqual(['(blob config)', '(blob a)'])
  })

  test.each(['http://bad/', 'ftp://good/', 'good', '', 'http://', 'http://good/#fragment', 'javascript:good'])(
    'the URL "%s" is refused',
    (url) => {
      const layers = [descriptor('a', { mediaType: FOREIGN, urls: ['http://good/', url] })]
      expect(() => referencesOf(image(layers), policy)).toThrow('manifest invalid')
    },
  )
})

test('what an index names: its children, as the policy wants them', () => {
  const index: Manifest = {
    ...image([]),
    mediaType: MEDIA_TYPES.ociIndex,
    config: undefined,
    manifests: [child('a', { platform: { os: 'linux' } }), child('b', { platform: { os: 'windows' } }), child('c')],
  }
  expect(shown(index, ['a', 'b', 'c'])).toEqual(['manifest a', '(manifest b)', 'manifest c'])
})

test('what an index names that is no manifest by its type may be a blob or a manifest', () => {
  const index: Manifest = {
    ...image([]),
    mediaType: MEDIA_TYPES.ociIndex,
    config: undefined,
    manifests: [child('a'), descriptor('b'), descriptor('c', { platform: { os: 'windows' } })],
  }
  expect(shown(index, ['a', 'b', 'c'])).toEqual([
    ...['manifest a', 'blob b', '(manifest b)'],
    ...['(blob c)', '(manifest c)'],
  ])
  expect(shown(index, ['a', 'b', 'c'], { ...policy, enabled: false })).toEqual([
    ...['(manifest a)', '(blob b)', '(manifest b)'],
    ...['(blob c)', '(manifest c)'],
  ])
})
