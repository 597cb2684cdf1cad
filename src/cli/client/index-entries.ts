import type { Descriptor, Platform } from '../../oci/descriptor.ts'
import { digestOf } from '../../oci/digest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../../oci/media-type.ts'
import { fitsPlatform, formatPlatform, isSamePlatform, platformIn } from '../../oci/platform.ts'
import { createCopier } from '../../transfer/copy.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import { registryTarget } from '../../transfer/registry-target.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference, parseImage, type RepositoryReference } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { printableJson } from '../table.ts'
import type { ClientContext } from './context.ts'
import { fetchManifest, readConfig } from './image.ts'
import type { MoverFlags } from './mover.ts'
import { lines, parseFormat, show } from './output.ts'
import { createMeter } from './transfer-meter.ts'

/** An index with all that it says, also what is not known here. */
export type IndexJson = Record<string, unknown> & { mediaType: string; manifests: Descriptor[] }

export function emptyIndex(kind: 'oci' | 'docker'): IndexJson {
  return { schemaVersion: 2, mediaType: kind === 'oci' ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerList, manifests: [] }
}

/** As it is, and what it says. @throws UpstreamError `invalid` for what is no index */
export async function fetchIndex(
  upstream: Upstream,
  image: ImageReference,
): Promise<{ bytes: Uint8Array; index: IndexJson }> {
  const fetched = await fetchManifest(upstream, image)
  const what = formatImage(image)
  const { mediaType } = readManifest(what, fetched)
  if (!isIndexMediaType(mediaType)) {
    throw new UpstreamError('invalid', `${what} is one image, and no index`, {
      hint: `berth index create ${what} IMAGE... makes one`,
    })
  }
  const json = JSON.parse(new TextDecoder().decode(fetched.bytes)) as Record<string, unknown>
  const manifests = Array.isArray(json.manifests) ? (json.manifests as Descriptor[]) : []
  return { bytes: fetched.bytes, index: { ...json, mediaType, manifests } }
}

/** What images add to an index in `target`, where they are copied to. Of an index its images, of some platforms where they are named. */
export async function entriesOf(
  context: ClientContext,
  upstream: Upstream,
  target: RepositoryReference,
  names: readonly string[],
  platforms: readonly Platform[],
  flags: MoverFlags & { dryRun?: true },
): Promise<Descriptor[]> {
  const images = names.map(parseImage)
  const found: Entry[] = []
  for (const image of images) {
    for (const one of await imagesOf(upstream, image, platforms)) found.push({ image, ...one })
  }
  mustDiffer(found)
  const meter = createMeter(context, flags)
  const entries: Descriptor[] = []
  try {
    for (const image of images) {
      const mountFrom = image.registry === target.registry ? image.repository : undefined
      const copier = createCopier({
        ...{ source: registrySource(upstream, image), target: registryTarget(upstream, target, mountFrom) },
        ...{ isDry: flags.dryRun === true, jobs: flags.jobs, meter },
      })
      for (const { descriptor, fetched } of found.filter((one) => one.image === image)) {
        await copier.copy(fetched, fetched.digest)
        entries.push(descriptor)
      }
    }
  } finally {
    meter.clear()
  }
  return entries
}

interface Entry {
  image: ImageReference
  descriptor: Descriptor
  fetched: FetchedManifest
}

/** Of two images for one platform a client would take the first, and nobody could tell which that is. @throws UpstreamError `usage` */
function mustDiffer(entries: readonly Entry[]): void {
  for (const [index, { image, descriptor }] of entries.entries()) {
    const same = entries
      .slice(0, index)
      .find(
        (one) =>
          one.descriptor.digest !== descriptor.digest && isSamePlatform(one.descriptor.platform, descriptor.platform),
      )
    if (same === undefined || descriptor.platform === undefined) continue
    const names = `${formatImage(same.image)} and ${formatImage(image)}`
    throw new UpstreamError(
      'usage',
      same.image === image
        ? `${formatImage(image)} has two images for ${formatPlatform(descriptor.platform)}`
        : `${names} are both for ${formatPlatform(descriptor.platform)}`,
      {
        hint: 'an index has one image for a platform: leave one out, or build it for another (docker build --platform)',
      },
    )
  }
}

async function imagesOf(
  upstream: Upstream,
  image: ImageReference,
  platforms: readonly Platform[],
): Promise<{ descriptor: Descriptor; fetched: FetchedManifest }[]> {
  const fetched = await fetchManifest(upstream, image)
  const isWanted = ({ platform }: Descriptor) =>
    platforms.length === 0 || platforms.some((wanted) => platform !== undefined && fitsPlatform(platform, wanted))
  const what = formatImage(image)
  const none = () =>
    new UpstreamError('not-found', `${what} has none of these platforms`, { hint: `berth index list ${what}` })
  const manifest = readManifest(what, fetched)
  if (!isIndexMediaType(fetched.mediaType)) {
    const { digest, mediaType, bytes } = fetched
    const platform =
      manifest.config === undefined ? undefined : platformIn((await readConfig(upstream, image, manifest.config)).json)
    const { artifactType } = manifest
    const descriptor: Descriptor = {
      ...{ mediaType, digest, size: bytes.byteLength },
      ...(platform === undefined ? (artifactType === undefined ? {} : { artifactType }) : { platform }),
    }
    if (!isWanted(descriptor)) throw none()
    return [{ descriptor, fetched }]
  }
  const found = []
  for (const descriptor of manifest.manifests.filter(isWanted)) {
    found.push({ descriptor, fetched: await upstream.manifest(image, descriptor.digest) })
  }
  if (found.length === 0) throw none()
  return found
}

/** Stores the index under the tag, and says its name; of a dry run it shows the index. */
export async function putIndex(
  context: ClientContext,
  upstream: Upstream,
  { tag = 'latest', ...target }: ImageReference,
  index: IndexJson,
  { dryRun, format }: { dryRun?: true; format: string },
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(index))
  const { mediaType, manifests } = index
  const digest = digestOf(bytes)
  if (dryRun) context.error('Nothing is written: this is what would be.\n')
  else await registryTarget(upstream, target).putManifest(tag, { digest, mediaType, bytes })
  const reference = formatImage({ ...target, tag, digest })
  show(context, parseFormat(format, 'raw'), {
    whole: { reference, digest, mediaType, size: bytes.byteLength, manifests },
    text: dryRun ? printableJson(JSON.stringify(index, undefined, 2)) : lines([reference]),
    raw: bytes,
  })
}
