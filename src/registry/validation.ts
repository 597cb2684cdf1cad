import type { Reference } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/error.ts'
import type { Manifest } from '../oci/manifest.ts'
import { isNonDistributable } from '../oci/media-type.ts'

/** What a manifest must meet when it is put; distribution's `validation` section. */
export interface Policy {
  /** False: nothing that a manifest names needs to exist. */
  enabled: boolean
  /** Whether the `urls` entry of a layer may be used. */
  allowsUrl: (url: string) => boolean
  /** Whether this child of an index must exist. */
  requiresChild: (child: Descriptor) => boolean
}

/**
 * Everything that the manifest names, with whether it must be in the repository.
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
    references.push({ digest: child.digest, kind: 'manifest', required: policy.enabled && policy.requiresChild(child) })
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
