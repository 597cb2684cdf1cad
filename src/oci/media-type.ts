/** Media types of the OCI Image Specification 1.1 and of Docker's image manifest version 2, schema 2. */
export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifestV1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerManifestV1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const

export type ManifestMediaType =
  | typeof MEDIA_TYPES.ociManifest
  | typeof MEDIA_TYPES.ociIndex
  | typeof MEDIA_TYPES.dockerManifest
  | typeof MEDIA_TYPES.dockerList

const MANIFEST_TYPES: ReadonlySet<string> = new Set([
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerManifest,
  MEDIA_TYPES.dockerList,
])

export function isManifestMediaType(text: string): text is ManifestMediaType {
  return MANIFEST_TYPES.has(text)
}

/** Those of manifests that name other manifests. */
export const INDEX_MEDIA_TYPES: readonly string[] = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerList]

export function isIndexMediaType(text: string): boolean {
  return text === MEDIA_TYPES.ociIndex || text === MEDIA_TYPES.dockerList
}

/** The configuration of a container image (OCI and Docker); that of an artifact has a type of its own, or is empty. */
export function isImageConfig(mediaType: string): boolean {
  return /\b(image\.config|container\.image)\b/.test(mediaType)
}

/** Layer types whose bytes a registry need not hold (OCI Image Specification 1.0, non-distributable layers; Docker's foreign layers). */
export function isNonDistributable(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}

/** `text/html; charset=x` → `text/html`: type and subtype only, lower case. */
export function essenceOf(contentType: string): string {
  const end = contentType.indexOf(';')
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}
