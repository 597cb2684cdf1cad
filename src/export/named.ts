import type { ContentManifest } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/error.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { isManifestMediaType } from '../oci/media-type.ts'

type Stored = Pick<ContentManifest, 'bytes' | 'mediaType'>

/** Children of an index. */
export function childrenOf(manifest: Stored): readonly Descriptor[] {
  return read(manifest)?.manifests ?? []
}

/** Config and layers, and what an index names that is no manifest. */
export function blobsOf(manifest: Stored): Descriptor[] {
  const { config, layers = [], manifests = [] } = read(manifest) ?? {}
  const others = manifests.filter(({ mediaType }) => !isManifestMediaType(mediaType))
  return [...(config === undefined ? [] : [config]), ...layers, ...others]
}

/** Undefined for what no push brings, but a registry:2 of old may have left: schema 1, and what is none of the known. */
function read({ bytes, mediaType }: Stored): Manifest | undefined {
  if (!isManifestMediaType(mediaType)) return undefined
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}
