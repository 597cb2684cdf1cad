import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import {
  type Content,
  descriptorOf,
  makeArtifact,
  makeImage,
  makeIndex,
  pushBlob,
  pushImage,
  type TestImage,
} from '../image.ts'

const amd64 = makeImage({ layers: [5_000, 100], seed: 'amd64' })
const arm64 = makeImage({ layers: [6_000], seed: 'arm64', platform: { architecture: 'arm64', os: 'linux' } })

export const SAMPLES = {
  old: makeImage({ layers: [1_000, 300_000], seed: 'old' }),
  current: makeImage({ layers: [2_000], seed: 'current' }),
  docker: makeImage({ layers: [3_000], seed: 'docker', format: 'docker' }),
  multi: makeIndex([amd64, arm64]),
  untagged: makeImage({ layers: [10], seed: 'untagged' }),
  many: makeImage({ layers: [50], seed: 'many tags' }),
  whole: makeImage({ layers: [400], seed: 'whole' }),
  broken: makeImage({ layers: [100, 200, 300], seed: 'broken' }),
}
export const SIGNATURE = makeArtifact({
  seed: 'signature',
  artifactType: 'application/vnd.example.sig',
  subject: SAMPLES.current.manifest,
})
/** The same image with a layer under a digest of sha512, which registry:2 stores by sha256, with an alias. */
export const LONG_LAYER = withSha512Layer(SAMPLES.current)

/** Digests that no tag leads to, by repository. */
export const UNTAGGED: Record<string, string[]> = {
  'team/app': [SAMPLES.old, SAMPLES.untagged, SIGNATURE].map(({ manifest }) => manifest.digest),
}

const octets = { 'content-type': 'application/octet-stream' }

/** Pushes many kinds of content, in repositories that lie within one another. */
export async function pushSamples(url: string): Promise<void> {
  const { old, current, docker, multi, untagged, many, whole } = SAMPLES
  await pushImage(url, 'team/app', old, { tag: 'v1' })
  await pushImage(url, 'team/app', current, { tag: 'v1' })
  await pushImage(url, 'team/app', current, { tag: 'latest' })
  await pushImage(url, 'team/app', docker, { tag: 'docker' })
  await pushImage(url, 'team/app', untagged)
  await pushImage(url, 'team/app', SIGNATURE)
  for (const layer of LONG_LAYER.layers) await pushBlob(url, 'team/app', layer)
  await pushImage(url, 'team/app', LONG_LAYER, { tag: 'long' })
  await pushFallbackIndex(url)
  await pushBuildCache(url)
  await pushImage(url, 'team/app/nested/deep', multi, { tag: 'multi' })
  await pushImage(url, 'team', old, { tag: `x.${'y'.repeat(126)}` })
  await pushImage(url, 'a'.repeat(255), old, { tag: '_1' })
  await pushImage(url, 'many/tags', many, { tag: 'v0' })
  await pushImage(url, 'deleted', whole, { tag: 'gone' })
  await fetch(`${url}/v2/deleted/manifests/${whole.manifest.digest}`, { method: 'DELETE' })
}

/** Starts an upload in team/app, sends a part of it, and resolves to its address without the host. */
export async function leaveUpload(url: string, text: string): Promise<string> {
  const started = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const location = started.headers.get('location') ?? ''
  const patched = await fetch(location, { method: 'PATCH', body: Buffer.from(text), headers: octets })
  const { pathname, search } = new URL(patched.headers.get('location') ?? '')
  return `${pathname}${search}`
}

/** What clients keep on registries without referrers (OCI Distribution Specification 1.1, "Referrers Tag Schema"). */
async function pushFallbackIndex(url: string): Promise<void> {
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: [{ ...descriptorOf(SIGNATURE.manifest), artifactType: 'application/vnd.example.sig' }],
  }
  const tag = SAMPLES.current.manifest.digest.replace(':', '-')
  const headers = { 'content-type': MEDIA_TYPES.ociIndex }
  const init = { method: 'PUT', body: JSON.stringify(index), headers }
  const answer = await fetch(`${url}/v2/team/app/manifests/${tag}`, init)
  if (answer.status !== 201) throw new Error(`fallback index: ${answer.status}`)
}

/** What BuildKit makes of `--cache-to type=registry` unless told otherwise: an index whose children are blobs. */
export const CACHE: readonly Content[] = ['layer of a cache', 'the cache itself'].map((text) => {
  const bytes = new Uint8Array(Buffer.from(text))
  return { mediaType: `application/vnd.example.${text.length}`, digest: digestOf(bytes), bytes }
})

async function pushBuildCache(url: string): Promise<void> {
  for (const blob of CACHE) await pushBlob(url, 'team/app', blob)
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: CACHE.map(descriptorOf) }
  const headers = { 'content-type': MEDIA_TYPES.ociIndex }
  const init = { method: 'PUT', body: JSON.stringify(index), headers }
  const answer = await fetch(`${url}/v2/team/app/manifests/cache`, init)
  if (answer.status !== 201) throw new Error(`build cache: ${answer.status}`)
}

function withSha512Layer(image: TestImage): TestImage {
  const layers = image.layers.map((layer): Content => ({ ...layer, digest: digestOf(layer.bytes, 'sha512') }))
  const json = JSON.parse(Buffer.from(image.manifest.bytes).toString())
  const bytes = new Uint8Array(Buffer.from(JSON.stringify({ ...json, layers: layers.map(descriptorOf) })))
  return { ...image, layers, manifest: { ...image.manifest, digest: digestOf(bytes), bytes } }
}
