import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../oci/media-type.ts'
import { formatPlatform, isSamePlatform, platformIn } from '../oci/platform.ts'
import { checkedBytes } from '../upstream/content-check.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { IMAGE_NAME, REF_NAME } from './layout.ts'
import type { LocalImage } from './local.ts'
import { jsonOf } from './platform.ts'
import type { ImageSource } from './transfer.ts'
import { mustHaveSize, readManifest } from './tree.ts'

/**
 * Images of one place as one index: each for its platform, and of an index its images. What refers to another manifest is none of them:
 * it is found by its subject. An index that is alone stays as it is.
 * @throws UpstreamError `usage` for two images for one platform, `not-found` where all of them refer to others
 */
export async function joinImages(images: readonly LocalImage[]): Promise<LocalImage> {
  const own: { image: LocalImage; manifests: readonly Descriptor[] }[] = []
  for (const image of images) {
    const { source, root, named } = image
    if (named !== undefined) mustHaveSize(`${source.name}@${named.digest}`, root, named)
    const { manifests, subject } = readManifest(`${source.name}@${root.digest}`, root)
    if (subject === undefined) own.push({ image, manifests })
  }
  const [first] = own
  if (first === undefined) {
    const [where = ''] = images.map(({ source }) => source.name)
    throw new UpstreamError('not-found', `${where} has no image, only what refers to others`)
  }
  if (own.length === 1 && isIndexMediaType(first.image.root.mediaType)) return first.image
  const entries: Descriptor[] = []
  for (const { image, manifests } of own) {
    const found = isIndexMediaType(image.root.mediaType) ? manifests : [await entryOf(image)]
    for (const one of found) add(entries, one, image.source.name)
  }
  const bytes = new TextEncoder().encode(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: entries }),
  )
  const root = { digest: digestOf(bytes), mediaType: MEDIA_TYPES.ociIndex, bytes }
  const sources = [...new Set(own.map(({ image }) => image.source))]
  return { source: joinSources(first.image.source.name, root, sources), root }
}

/** Of two images for one platform a client would take the first, and nobody could tell which that is. */
function add(entries: Descriptor[], entry: Descriptor, where: string): void {
  if (entries.some(({ digest }) => digest === entry.digest)) return
  const same = entries.find(({ platform }) => isSamePlatform(platform, entry.platform))
  if (same !== undefined && entry.platform !== undefined) {
    const both = `${same.digest} and ${entry.digest}`
    throw new UpstreamError('usage', `${where} has two images for ${formatPlatform(entry.platform)}: ${both}`, {
      hint: 'an index has one image for a platform: push them by themselves, with --image',
    })
  }
  entries.push(entry)
}

/** What a layout calls an image is not for the index. */
async function entryOf({ source, root, named }: LocalImage): Promise<Descriptor> {
  const { digest, mediaType, bytes } = root
  const { config, artifactType } = readManifest(`${source.name}@${digest}`, root)
  const platform = config && platformIn(await jsonOf({ open: (blob) => wholeOf(source, blob) }, config))
  const { [REF_NAME]: _tag, [IMAGE_NAME]: _name, ...annotations } = named?.annotations ?? {}
  return {
    ...{ mediaType, digest, size: bytes.byteLength },
    ...(platform === undefined ? (artifactType === undefined ? {} : { artifactType }) : { platform }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
}

/** A damaged configuration would put the image under a wrong platform. */
function wholeOf(source: ImageSource, blob: Descriptor): AsyncIterable<Uint8Array> {
  return checkedBytes(
    blob,
    source.open(blob, 0),
    ({ found }) => new UpstreamError('invalid', `${source.name}: ${blob.digest} is damaged: ${found}`),
  )
}

/** Each image of an archive has a source of its own. */
function joinSources(name: string, root: FetchedManifest, sources: readonly ImageSource[]): ImageSource {
  const sourceOf = async (blob: Descriptor): Promise<ImageSource | undefined> => {
    for (const source of sources) if ((await source.sizeOf(blob)) !== undefined) return source
    return undefined
  }
  return {
    name,
    async manifest(reference) {
      if (reference === root.digest) return root
      let missing: unknown
      for (const source of sources) {
        try {
          return await source.manifest(reference)
        } catch (error) {
          if (!(error instanceof UpstreamError) || error.fault !== 'not-found') throw error
          missing = error
        }
      }
      throw missing
    },
    async *open(blob, start) {
      const source = await sourceOf(blob)
      if (source === undefined) throw new UpstreamError('not-found', `${name} has no ${blob.digest}`)
      yield* source.open(blob, start)
    },
    sizeOf: async (blob) => await (await sourceOf(blob))?.sizeOf(blob),
    async referrers(subject) {
      const found = await Promise.all(sources.map((source) => source.referrers(subject)))
      return { manifests: found.flatMap(({ manifests }) => manifests), tags: found.flatMap(({ tags }) => tags) }
    },
  }
}
