import { describe, expect, test } from 'bun:test'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { type Converted, convertDocker } from './convert-docker.ts'

const bytesOf = (json: unknown) => new TextEncoder().encode(JSON.stringify(json))
const jsonOf = ({ bytes }: Converted) => JSON.parse(new TextDecoder().decode(bytes))
const NONE = async () => undefined
const A: Digest = `sha256:${'a'.repeat(64)}`

describe('a manifest of Docker’s media types as one of OCI’s', () => {
  test('keeps all but media types', async () => {
    const layer = (mediaType: string) => ({ mediaType, size: 1, digest: A, urls: ['https://example.org/x'] })
    const docker = 'application/vnd.docker.image.rootfs'
    const bytes = bytesOf({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.dockerManifest,
      config: layer('application/vnd.docker.container.image.v1+json'),
      layers: [`${docker}.diff.tar.gzip`, `${docker}.diff.tar`, `${docker}.foreign.diff.tar.gzip`, 'text/x'].map(layer),
      annotations: { a: 'b' },
    })
    const converted = await convertDocker({ mediaType: MEDIA_TYPES.dockerManifest, bytes }, NONE)
    const oci = 'application/vnd.oci.image.layer'
    expect(jsonOf(converted)).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: layer('application/vnd.oci.image.config.v1+json'),
      layers: [`${oci}.v1.tar+gzip`, `${oci}.v1.tar`, `${oci}.nondistributable.v1.tar+gzip`, 'text/x'].map(layer),
      annotations: { a: 'b' },
    })
    expect(converted).toMatchObject({ mediaType: MEDIA_TYPES.ociManifest, digest: digestOf(converted.bytes) })
    expect(await convertDocker({ mediaType: MEDIA_TYPES.dockerManifest, bytes }, NONE)).toEqual(converted)
  })

  test('a list leads to its children as they are converted, and to those that are not there as before', async () => {
    const child = { mediaType: MEDIA_TYPES.ociManifest, digest: digestOf(bytesOf({})), bytes: bytesOf({}) }
    const there: Digest = `sha256:${'b'.repeat(64)}`
    const of = (digest: Digest) => ({
      mediaType: MEDIA_TYPES.dockerManifest,
      digest,
      size: 9,
      platform: { os: 'linux' },
    })
    const bytes = bytesOf({ schemaVersion: 2, mediaType: MEDIA_TYPES.dockerList, manifests: [of(A), of(there)] })
    const converted = await convertDocker({ mediaType: MEDIA_TYPES.dockerList, bytes }, async (digest) =>
      digest === there ? child : undefined,
    )
    expect(jsonOf(converted)).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [of(A), { mediaType: child.mediaType, digest: child.digest, size: 2, platform: { os: 'linux' } }],
    })
  })
})
