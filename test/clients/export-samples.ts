import { digestOf } from '../../src/oci/digest.ts'
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
const arm64 = makeImage({
  layers: [6_000],
  seed: 'arm64',
  platform: { architecture: 'arm64', os: 'linux', variant: 'v8' },
})

export const SAMPLES = {
  old: makeImage({ layers: [1_000, 300_000], seed: 'old' }),
  current: makeImage({ layers: [2_000], seed: 'current' }),
  docker: makeImage({ layers: [3_000], seed: 'docker', format: 'docker' }),
  multi: makeIndex([amd64, arm64]),
  untagged: makeImage({ layers: [10], seed: 'untagged' }),
}
export const SIGNATURE = makeArtifact({
  seed: 'signature',
  artifactType: 'application/vnd.example.sig',
  subject: SAMPLES.current.manifest,
})

/** The same image with a layer, and under a digest, of sha512. */
export const LONG_DIGEST = withSha512(SAMPLES.current)

/** Digests that no tag leads to, by repository. */
export const UNTAGGED: Record<string, string[]> = {
  'team/app': [
    SAMPLES.old.manifest.digest,
    SAMPLES.untagged.manifest.digest,
    SIGNATURE.manifest.digest,
    LONG_DIGEST.manifest.digest,
  ],
}

/** Many kinds of content, in repositories that lie within one another. */
export async function pushSamples(url: string): Promise<void> {
  const { old, current, docker, multi, untagged } = SAMPLES
  await pushImage(url, 'team/app', old, { tag: 'v1' })
  await pushImage(url, 'team/app', current, { tag: 'v1' })
  await pushImage(url, 'team/app', current, { tag: 'latest' })
  await pushImage(url, 'team/app', docker, { tag: 'docker' })
  await pushImage(url, 'team/app', untagged)
  await pushImage(url, 'team/app', SIGNATURE)
  for (const layer of LONG_DIGEST.layers) await pushBlob(url, 'team/app', layer)
  await pushImage(url, 'team/app', LONG_DIGEST)
  await pushImage(url, 'team/app/nested/deep', multi, { tag: 'multi' })
  await pushImage(url, 'team', old, { tag: `x.${'y'.repeat(126)}` })
  await pushImage(url, 'a'.repeat(255), old, { tag: '_1' })
  await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
}

function withSha512(image: TestImage): TestImage {
  const layers = image.layers.map((layer): Content => ({ ...layer, digest: digestOf(layer.bytes, 'sha512') }))
  const json = JSON.parse(Buffer.from(image.manifest.bytes).toString())
  const bytes = new Uint8Array(Buffer.from(JSON.stringify({ ...json, layers: layers.map(descriptorOf) })))
  return { ...image, layers, manifest: { ...image.manifest, digest: digestOf(bytes, 'sha512'), bytes } }
}
