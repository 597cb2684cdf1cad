import type { Reference } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/error.ts'
import type { Manifest } from '../oci/manifest.ts'
import { isManifestMediaType, isNonDistributable, MEDIA_TYPES } from '../oci/media-type.ts'

/** What a manifest must meet when it is put; distribution's `validation` section. */
export interface Policy {
  /** False: nothing that a manifest names needs to exist. */
  enabled: boolean
  /** Classes of images that may be put; empty for all. */
  classes: readonly string[]
  /** Whether the `urls` entry of a layer may be used. */
  allowsUrl: (url: string) => boolean
  /** Whether this child of an index must exist. */
  requiresChild: (child: Descriptor) => boolean
}

/**
 * distribution's `policy.repository.classes`: the media type of the config says what an image is. Indexes have no class.
 * @param granted the classes that the caller's token names for the repository; undefined where it names none, or there is no token
 * @throws RegistryError DENIED
 */
export function checkClass(
  manifest: Manifest,
  allowed: readonly string[],
  granted: readonly string[] | undefined,
): void {
  if (allowed.length === 0 || manifest.config === undefined) return
  const { mediaType } = manifest.config
  const kind = CLASSES[manifest.mediaType]?.[mediaType]
  if (kind === undefined) throw denied(`unknown manifest class for ${mediaType}`)
  if (!allowed.includes(kind)) throw denied(`registry does not allow ${kind} manifest`)
  if (granted !== undefined && !granted.includes(kind)) throw denied(`repository not authorized for ${kind} manifest`)
}

const CLASSES: Partial<Record<string, Partial<Record<string, string>>>> = {
  [MEDIA_TYPES.dockerManifest]: {
    'application/vnd.docker.container.image.v1+json': 'image',
    'application/vnd.docker.plugin.v1+json': 'plugin',
  },
  [MEDIA_TYPES.ociManifest]: { 'application/vnd.oci.image.config.v1+json': 'image' },
}

function denied(message: string): RegistryError {
  return new RegistryError('DENIED', { message })
}

/**
 * Everything that the manifest names, with whether it must be in the repository.
 *
 * An index may name what is no manifest (OCI Image Specification 1.1, "Image Index": an unknown media type is no error), as
 * BuildKit's caches do, whose layers are children of an index. Such a child is named as a blob and as a manifest: the type does
 * not tell which it is, and what is named is kept.
 * @throws RegistryError MANIFEST_INVALID for a URL that the policy does not allow.
 */
export function referencesOf(manifest: Manifest, policy: Policy): Reference[] {
  const references: Reference[] = []
  if (manifest.config !== undefined) {
    references.push({ digest: manifest.config.digest, kind: 'blob', required: policy.enabled })
  }
  for (const layer of manifest.layers) {
    const required = policy.enabled && mustExist(layer, policy)
    references.push({ digest: layer.digest, kind: 'blob', required })
  }
  for (const child of manifest.manifests) {
    const required = policy.enabled && policy.requiresChild(child)
    const { digest } = child
    if (isManifestMediaType(child.mediaType)) references.push({ digest, kind: 'manifest', required })
    else references.push({ digest, kind: 'blob', required }, { digest, kind: 'manifest', required: false })
  }
  return unique(references)
}

function mustExist(layer: Descriptor, policy: Policy): boolean {
  const urls = layer.urls ?? []
  for (const url of urls) {
    if (!isPlainUrl(url) || !policy.allowsUrl(url)) {
      throw new RegistryError('MANIFEST_INVALID', {
        detail: `invalid URL on layer ${layer.digest}: ${url.slice(0, 200)} is not allowed by validation.manifests.urls`,
      })
    }
  }
  return urls.length === 0 || !isNonDistributable(layer.mediaType)
}

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.host !== '' && url.hash === ''
}

/** One reference a digest and kind; it is required when any of its mentions is. */
function unique(references: readonly Reference[]): Reference[] {
  const byDigest = new Map<string, Reference>()
  for (const reference of references) {
    const key = `${reference.kind} ${reference.digest}`
    const known = byDigest.get(key)
    if (known === undefined) byDigest.set(key, { ...reference })
    else known.required ||= reference.required
  }
  return [...byDigest.values()]
}
