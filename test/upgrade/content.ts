import { expect } from 'bun:test'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { completeUpload, offsetOf, startUpload } from '../crash/upload.ts'
import { type Content, makeArtifact, makeImage, makeIndex, noise, pushImage, type TestImage } from '../image.ts'

/**
 * What is done with a registry before its database becomes a fixture, and what must be there after any upgrade. All bytes follow
 * from seeds, so that a fixture needs rows alone. Never change it: fixtures of old releases cannot be made anew with ease.
 */
const REPOSITORY = 'team/app'
const OTHER = 'team/other'

const imageOf = (seed: string, architecture = 'amd64') =>
  makeImage({ seed, layers: [300, 200], platform: { architecture, os: 'linux' } })
const one = imageOf('one')
const two = imageOf('two')
const gone = imageOf('gone')
const multi = makeIndex([imageOf('three'), imageOf('four', 'arm64')])
const signature = makeArtifact({ seed: 'signature', artifactType: 'application/x.signature', subject: two.manifest })
const unfinished: Content = blobOf(noise(1000, 'under way'))
const RECEIVED = 400

function blobOf(bytes: Uint8Array<ArrayBuffer>): Content {
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), bytes }
}

/** Every blob that a fixture's rows may name. */
export const BLOBS: readonly Content[] = [one, two, gone, ...multi.images, signature].flatMap(({ config, layers }) => [
  config,
  ...layers,
])

/** The bytes that an upload under way has. */
export const UNFINISHED = unfinished.bytes.subarray(0, RECEIVED)

const TAGS: readonly [repository: string, tag: string, digest: Digest][] = [
  [REPOSITORY, 'latest', two.manifest.digest],
  [REPOSITORY, 'multi', multi.manifest.digest],
  [REPOSITORY, 'v1', one.manifest.digest],
  [OTHER, 'v1', one.manifest.digest],
]

/** Uses a registry: pushes, moved tags, an index, a referrer, a mount, a deletion, an upload that is not finished. */
export async function useRegistry(url: string): Promise<void> {
  await pushImage(url, REPOSITORY, one, { tag: 'v1' })
  await pushImage(url, REPOSITORY, one, { tag: 'latest' })
  await pushImage(url, REPOSITORY, two, { tag: 'latest' })
  await pushImage(url, REPOSITORY, multi, { tag: 'multi' })
  await pushImage(url, REPOSITORY, signature)
  for (const { digest } of [one.config, ...one.layers]) {
    const mount = `${url}/v2/${OTHER}/blobs/uploads/?mount=${digest}&from=${REPOSITORY}`
    await answered(201, mount, { method: 'POST' })
  }
  const { digest, mediaType, bytes } = one.manifest
  const headers = { 'Content-Type': mediaType }
  await answered(201, `${url}/v2/${OTHER}/manifests/v1`, { method: 'PUT', headers, body: bytes })
  await pushImage(url, REPOSITORY, gone, { tag: 'gone' })
  await answered(202, `${url}/v2/${REPOSITORY}/manifests/${gone.manifest.digest}`, { method: 'DELETE' })
  await answered(200, `${url}/v2/${REPOSITORY}/manifests/${digest}`, { method: 'GET' })
  const session = await startUpload(url, REPOSITORY)
  await answered(202, `${url}${session}`, { method: 'PATCH', body: UNFINISHED })
}

/** Pulls all of it. `upload`: id of the upload under way, which is finished. */
export async function expectRegistry(url: string, upload: string): Promise<void> {
  const json = async (path: string) => JSON.parse(await (await answered(200, `${url}/v2/${path}`)).text())
  expect(await json('_catalog')).toEqual({ repositories: [REPOSITORY, OTHER] })
  for (const repository of [REPOSITORY, OTHER]) {
    const tags = TAGS.filter(([name]) => name === repository).map(([, tag]) => tag)
    expect(await json(`${repository}/tags/list`)).toEqual({ name: repository, tags })
  }
  for (const [repository, tag, digest] of TAGS) {
    expect(digestOf(await (await answered(200, `${url}/v2/${repository}/manifests/${tag}`)).bytes())).toBe(digest)
  }
  const pulled: [string, TestImage][] = [one, two, ...multi.images, signature].map((image) => [REPOSITORY, image])
  for (const [repository, { manifest, config, layers }] of [...pulled, [OTHER, one] as const]) {
    for (const [kind, content] of [
      ['manifests', manifest],
      ...[config, ...layers].map((blob) => ['blobs', blob] as const),
    ] as const) {
      const answer = await answered(200, `${url}/v2/${repository}/${kind}/${content.digest}`)
      expect(digestOf(await answer.bytes())).toBe(content.digest)
    }
  }
  expect(await json(`${REPOSITORY}/referrers/${two.manifest.digest}`)).toMatchObject({
    manifests: [{ digest: signature.manifest.digest, artifactType: 'application/x.signature' }],
  })
  await answered(404, `${url}/v2/${REPOSITORY}/manifests/gone`)
  const session = `/v2/${REPOSITORY}/blobs/uploads/${upload}`
  expect(await offsetOf(url, session)).toBe(RECEIVED)
  await completeUpload(url, session, unfinished)
}

async function answered(status: number, url: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(url, init)
  if (answer.status !== status)
    throw new Error(`${init.method ?? 'GET'} ${url}: ${answer.status} ${await answer.text()}`)
  return answer
}
