import type { Descriptor, Platform } from '../oci/descriptor.ts'
import { jsonObject } from '../oci/json-object.ts'
import { isIndexMediaType } from '../oci/media-type.ts'
import { fitsPlatform, formatPlatform, platformIn } from '../oci/platform.ts'
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

function notForPlatform(what: string, there: readonly Platform[], wanted: Platform): UpstreamError {
  const names = [...new Set(there.map(formatPlatform))].filter((name) => !name.startsWith('unknown/'))
  return new UpstreamError('not-found', `${what} is not there for ${formatPlatform(wanted)}`, {
    hint: names.length === 0 ? undefined : `it is there for ${names.join(', ')}`,
  })
}

/**
 * The manifest for a platform: of an index the one that it names for that, and any other image only if it is for it, as far as it says
 * so. Whoever asks for a platform must not get another one without being told. @throws UpstreamError `not-found`
 */
export async function manifestFor(
  source: Pick<ImageSource, 'name' | 'manifest' | 'open'>,
  root: FetchedManifest,
  platform: Platform,
): Promise<FetchedManifest> {
  const { manifests, config } = readManifest(source.name, root)
  if (isIndexMediaType(root.mediaType)) {
    return await source.manifest(chooseChild(source.name, manifests, platform).digest)
  }
  const own = config && platformIn(await jsonOf(source, config))
  if (own === undefined) return root
  if (fitsPlatform(own, platform)) return root
  throw notForPlatform(source.name, [own], platform)
}

/** Bytes of a config that are taken from a stranger. */
const MAX_CONFIG = 16 * 1024 * 1024

/** Undefined where it is none, or too long for one. */
export async function jsonOf({ open }: Pick<ImageSource, 'open'>, config: Descriptor) {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of open(config, 0)) {
    size += chunk.byteLength
    if (size > MAX_CONFIG) return undefined
    chunks.push(chunk)
  }
  return jsonObject(Buffer.concat(chunks))
}
