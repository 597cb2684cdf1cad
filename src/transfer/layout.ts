import type { Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, type Digest, digestOf, hexOf, isDigest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isManifestMediaType, MEDIA_TYPES } from '../oci/media-type.ts'
import { MAX_BODY } from '../upstream/body.ts'
import { UpstreamError } from '../upstream/error.ts'
import { type Folder, readSmall } from './folder.ts'
import type { ImageSource } from './transfer.ts'

/** OCI Image Specification 1.1, "Image Layout". */
export const LAYOUT_FILE = 'oci-layout'
export const INDEX_FILE = 'index.json'
export const LAYOUT = JSON.stringify({ imageLayoutVersion: '1.0.0' })
export const REF_NAME = 'org.opencontainers.image.ref.name'
/** What containerd and docker call an image there. */
export const IMAGE_NAME = 'io.containerd.image.name'

/** An image that `index.json` names. */
export interface LayoutEntry {
  descriptor: Descriptor
  names: readonly string[]
}

export interface Layout {
  source: ImageSource
  entries: readonly LayoutEntry[]
}

export function isLayout(folder: Folder): boolean {
  return folder.size(INDEX_FILE) !== undefined
}

export function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}

/** @throws UpstreamError `invalid` */
export async function openLayout(folder: Folder): Promise<Layout> {
  const index = await readSmall(folder, INDEX_FILE, MAX_BODY)
  const entries = descriptorsIn(folder, index).map((descriptor) => ({ descriptor, names: namesOf(descriptor) }))

  async function manifest(reference: string) {
    const found = isDigest(reference)
      ? reference
      : entries.find(({ names }) => names.includes(reference))?.descriptor.digest
    if (found === undefined) throw new UpstreamError('not-found', `${folder.name} has no image ${reference}`)
    const bytes = await readSmall(folder, blobPath(found), MAX_BODY)
    const actual = digestOf(bytes, algorithmOf(found))
    if (actual !== found) throw new UpstreamError('invalid', `${folder.name}: ${found} is damaged: it has ${actual}`)
    return { digest: found, mediaType: mediaTypeOf(folder, found, bytes), bytes }
  }

  return {
    entries,
    source: {
      name: folder.name,
      manifest,
      open: ({ digest }, start) => folder.open(blobPath(digest), start),
      sizeOf: async ({ digest }) => folder.size(blobPath(digest)),
      async referrers(subject) {
        const manifests: Descriptor[] = []
        for (const { descriptor } of entries) {
          const fetched = await manifest(descriptor.digest)
          const { subject: of } = parseManifest(fetched.bytes, fetched.mediaType)
          if (of?.digest === subject) manifests.push(descriptor)
        }
        return { manifests, tags: [] }
      },
    },
  }
}

function descriptorsIn({ name }: Folder, bytes: Uint8Array): readonly Descriptor[] {
  try {
    return parseManifest(bytes, MEDIA_TYPES.ociIndex).manifests.filter(({ mediaType }) =>
      isManifestMediaType(mediaType),
    )
  } catch (error) {
    throw new UpstreamError('invalid', `${INDEX_FILE} of ${name} is no index of images`, { cause: error })
  }
}

function mediaTypeOf({ name }: Folder, digest: Digest, bytes: Uint8Array): string {
  try {
    return parseManifest(bytes, null).mediaType
  } catch (error) {
    const detail = error instanceof Error && 'detail' in error ? String(error.detail) : String(error)
    throw new UpstreamError('invalid', `${name}: ${digest} is no manifest: ${detail}`, { cause: error })
  }
}

function namesOf({ annotations = {} }: Descriptor): string[] {
  return [annotations[REF_NAME], annotations[IMAGE_NAME]].filter((name) => name !== undefined)
}
