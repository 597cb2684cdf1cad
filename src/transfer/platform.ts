import type { Descriptor, Platform } from '../oci/descriptor.ts'
import { isIndexMediaType } from '../oci/media-type.ts'
import { fitsPlatform, formatPlatform } from '../oci/platform.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import type { ImageSource } from './transfer.ts'
import { readManifest } from './tree.ts'

/** What an index has for a platform. `what`: the image, as errors name it. @throws UpstreamError `not-found` */
export function chooseChild(what: string, manifests: readonly Descriptor[], platform: Platform): Descriptor {
  const found = manifests.find((one) => one.platform !== undefined && fitsPlatform(one.platform, platform))
  if (found !== undefined) return found
  const there = manifests.flatMap((one) => (one.platform === undefined ? [] : [one.platform]))
  throw notForPlatform(what, there, platform)
}

export function notForPlatform(what: string, there: readonly Platform[], wanted: Platform): UpstreamError {
  const names = [...new Set(there.map(formatPlatform))].filter((name) => !name.startsWith('unknown/'))
  return new UpstreamError('not-found', `${what} is not there for ${formatPlatform(wanted)}`, {
    hint: names.length === 0 ? undefined : `it is there for ${names.join(', ')}`,
  })
}

/** Of an index the manifest for a platform; any other manifest as it is. @throws UpstreamError */
export async function childFor(
  source: ImageSource,
  root: FetchedManifest,
  platform: Platform,
): Promise<FetchedManifest> {
  if (!isIndexMediaType(root.mediaType)) return root
  const { manifests } = readManifest(source.name, root)
  return await source.manifest(chooseChild(source.name, manifests, platform).digest)
}
