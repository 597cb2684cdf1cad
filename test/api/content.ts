import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Answer, ask } from './exchange.ts'

export const bytesOf = (text: string): Buffer => Buffer.from(text)

export function descriptorOf(mediaType: string, bytes: Uint8Array | string): Descriptor {
  const content = Buffer.from(bytes as Uint8Array)
  return { mediaType, digest: digestOf(content), size: content.length }
}

export const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const CONFIG = 'application/vnd.oci.image.config.v1+json'

/** An OCI image manifest of a config and layers given by their bytes; `more` adds or replaces fields. */
export function imageManifest(
  config: string,
  layers: readonly (Uint8Array | string)[],
  more: Record<string, unknown> = {},
): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: descriptorOf(CONFIG, config),
    layers: layers.map((layer) => descriptorOf(LAYER, layer)),
    ...more,
  })
}

/** Docker's schema 2 of `config` and `layer`. */
export const DOCKER_IMAGE = JSON.stringify({
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.dockerManifest,
  config: descriptorOf('application/vnd.docker.container.image.v1+json', 'config'),
  layers: [descriptorOf('application/vnd.docker.image.rootfs.diff.tar.gzip', 'layer')],
})

export function indexOf(children: readonly unknown[], more: Record<string, unknown> = {}): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: children, ...more })
}

/** OCI Distribution Specification 1.1, "Single POST". @throws Error with an answer that is not 201. */
export async function pushBlob(
  port: number,
  repository: string,
  content: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<Digest> {
  const bytes = Buffer.from(content as Uint8Array)
  const digest = digestOf(bytes)
  await must(201, ask(port, 'POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes, headers }))
  return digest
}

/** @throws Error with an answer that is not 201. */
export async function pushManifest(
  port: number,
  repository: string,
  reference: string,
  text: string,
  mediaType: string = MEDIA_TYPES.ociManifest,
  headers: Record<string, string> = {},
): Promise<Digest> {
  await must(201, putManifest(port, repository, reference, text, mediaType, headers))
  return digestOf(Buffer.from(text))
}

export function putManifest(
  port: number,
  repository: string,
  reference: string,
  text: string | Uint8Array,
  mediaType: string | undefined = MEDIA_TYPES.ociManifest,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const type: Record<string, string> = mediaType === '' ? {} : { 'Content-Type': mediaType }
  return ask(port, 'PUT', `/v2/${repository}/manifests/${reference}`, { body: text, headers: { ...type, ...headers } })
}

/** Pushes config, layers and a manifest under a tag, and tells its digest. */
export async function pushImage(port: number, repository: string, tag: string, seed = tag): Promise<Digest> {
  await pushBlob(port, repository, `config ${seed}`)
  await pushBlob(port, repository, `layer ${seed}`)
  return await pushManifest(port, repository, tag, imageManifest(`config ${seed}`, [`layer ${seed}`]))
}

export async function must(status: number, work: Promise<Answer>): Promise<Answer> {
  const answer = await work
  if (answer.status === status) return answer
  throw new Error(`expected ${status}, got ${answer.status} ${answer.text}`)
}

/** The errors of an answer; every one must have a code and a message. */
export function errorsOf(answer: Answer): { code: string; message: string; detail?: unknown }[] {
  return (JSON.parse(answer.text) as { errors: { code: string; message: string; detail?: unknown }[] }).errors
}

export function codesOf(answer: Answer): string[] {
  return errorsOf(answer).map(({ code }) => code)
}

/** Path and query of an answer's Location, wherever it points. */
export function placeOf(answer: Answer): string {
  const url = new URL(answer.headers.location ?? '', 'http://relative')
  return url.pathname + url.search
}

/** The page after this one, as its Link header says (RFC 8288); undefined on the last. */
export function nextOf(answer: Answer): string | undefined {
  const link = answer.headers.link
  if (link === undefined) return undefined
  const match = /^<([^>]+)>; rel="next"$/.exec(link)
  if (match === null) throw new Error(`not a Link to the next page: ${link}`)
  return match[1]
}
