import { type Digest, digestOf } from '../oci/digest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../oci/media-type.ts'

/** Docker's media types and what the OCI Image Specification 1.1 ("Media Types", compatibility matrix) has for them. */
const SAME: ReadonlyMap<string, string> = new Map([
  [MEDIA_TYPES.dockerManifest, MEDIA_TYPES.ociManifest],
  [MEDIA_TYPES.dockerList, MEDIA_TYPES.ociIndex],
  ['application/vnd.docker.container.image.v1+json', 'application/vnd.oci.image.config.v1+json'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'application/vnd.oci.image.layer.v1.tar'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'application/vnd.oci.image.layer.v1.tar+gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'application/vnd.oci.image.layer.v1.tar+zstd'],
  [
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ],
])

export interface Converted {
  mediaType: string
  digest: Digest
  bytes: Uint8Array
}

export function isDockerMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.dockerManifest || mediaType === MEDIA_TYPES.dockerList
}

/**
 * The same image as an OCI manifest or index: only media types change, and in an index digests and sizes of its children.
 * The same bytes for the same manifest. `childOf` converts a child; undefined: it is not there, and stays as it is named.
 */
export async function convertDocker(
  { mediaType, bytes }: { mediaType: string; bytes: Uint8Array },
  childOf: (digest: Digest) => Promise<Converted | undefined>,
): Promise<Converted> {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
  const converted: Record<string, unknown> = { ...json, mediaType: translated(mediaType) }
  if (isIndexMediaType(mediaType)) {
    const manifests: unknown[] = []
    for (const child of descriptorsOf(json.manifests)) {
      const found = await childOf(child.digest)
      manifests.push(found === undefined ? child : { ...child, ...descriptor(found) })
    }
    converted.manifests = manifests
  } else {
    if (json.config instanceof Object) converted.config = retyped(json.config as Descriptor)
    converted.layers = descriptorsOf(json.layers).map(retyped)
  }
  const text = new TextEncoder().encode(JSON.stringify(converted))
  return { mediaType: translated(mediaType), digest: digestOf(text), bytes: text }
}

interface Descriptor {
  mediaType: string
  digest: Digest
}

function descriptor({ mediaType, digest, bytes }: Converted) {
  return { mediaType, digest, size: bytes.byteLength }
}

/** They were checked when the manifest was pushed. */
function descriptorsOf(value: unknown): Descriptor[] {
  return Array.isArray(value) ? (value as Descriptor[]) : []
}

function retyped(of: Descriptor): Descriptor {
  return { ...of, mediaType: translated(of.mediaType) }
}

function translated(mediaType: string): string {
  return SAME.get(mediaType) ?? mediaType
}
