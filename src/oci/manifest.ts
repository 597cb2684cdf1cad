import type { Descriptor, Platform } from './descriptor.ts'
import { algorithmOf, type Digest, hexOf, isDigest } from './digest.ts'
import { RegistryError } from './error.ts'
import { essenceOf, isIndexMediaType, isManifestMediaType, type ManifestMediaType, MEDIA_TYPES } from './media-type.ts'

/** Bytes; OCI Distribution Specification 1.1, "Pushing manifests": a registry takes at least 4 MiB. */
export const MAX_MANIFEST_SIZE = 4 * 1024 * 1024

/** A manifest or index as far as the registry reads it. */
export interface Manifest {
  mediaType: ManifestMediaType
  config: Descriptor | undefined
  layers: readonly Descriptor[]
  /** Children, for an index or list. */
  manifests: readonly Descriptor[]
  subject: Descriptor | undefined
  /** What a referrers list shows: `artifactType`, else the config's media type (OCI Distribution Specification 1.1, "Listing referrers"). */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/** Brackets within brackets; manifests need about eight. What is far deeper is there to exhaust a stack. */
const MAX_DEPTH = 100

/** Annotations of one descriptor or manifest; real ones have a dozen. */
const MAX_ANNOTATIONS = 10_000

type Json = Record<string, unknown>

/**
 * Reads a pushed manifest. `contentType` is the request's header.
 *
 * Rules: OCI Image Specification 1.1 "Image Manifest" and "Image Index"; Docker image manifest version 2, schema 2. The media
 * type comes from the header; a header that names none (absent, or plain JSON) leaves it to the body.
 * @throws RegistryError MANIFEST_INVALID with a detail that says which field is wrong.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | null): Manifest {
  const json = parseJson(bytes)
  refuseOtherCase(json, ['config', 'layers', 'manifests', 'subject'], '')
  const mediaType = mediaTypeOf(json, contentType)
  if (json.schemaVersion !== 2) throw invalid(`schemaVersion: expected 2, found ${show(json.schemaVersion)}`)
  if (json.mediaType !== undefined && json.mediaType !== mediaType) {
    throw invalid(`mediaType: the body says ${show(json.mediaType)}, the Content-Type says ${mediaType}`)
  }
  const isIndex = isIndexMediaType(mediaType)
  if (isIndex && (json.config !== undefined || json.layers !== undefined)) {
    throw invalid('an index has no config and no layers')
  }
  if (!isIndex && json.manifests !== undefined) throw invalid('an image manifest has no manifests')

  const config = isIndex ? undefined : descriptor(json.config, 'config')
  return {
    mediaType,
    config,
    layers: isIndex ? [] : descriptors(json.layers, 'layers'),
    manifests: isIndex ? descriptors(json.manifests, 'manifests') : [],
    subject: json.subject === undefined || json.subject === null ? undefined : descriptor(json.subject, 'subject'),
    artifactType: text(json.artifactType, 'artifactType') || config?.mediaType,
    annotations: annotations(json.annotations, 'annotations'),
  }
}

function parseJson(bytes: Uint8Array): Json {
  if (isDeep(bytes)) throw invalid(`the body nests deeper than ${MAX_DEPTH} levels`)
  let json: unknown
  try {
    // A byte order mark is an error, as it is to the clients that will read these very bytes (RFC 8259 section 8.1).
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw invalid('the body is not JSON in UTF-8', cause)
  }
  if (!isObject(json)) throw invalid('the body is not a JSON object')
  return json
}

/** Whether brackets outside of strings nest too deep; asked before the parser takes its time over them. */
function isDeep(bytes: Uint8Array): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (inString) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > MAX_DEPTH) return true
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--
  }
  return false
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

function mediaTypeOf(json: Json, contentType: string | null): ManifestMediaType {
  const declared = essenceOf(contentType ?? '')
  if (isManifestMediaType(declared)) return declared
  const isSchema1 =
    declared === MEDIA_TYPES.dockerManifestV1 ||
    declared === MEDIA_TYPES.dockerManifestV1Signed ||
    json.schemaVersion === 1
  if (isSchema1) {
    throw invalid(
      'Docker image manifest version 2, schema 1 is not supported: pull the image with Docker 1.10 or newer (or skopeo copy --format v2s2) and push it again',
    )
  }
  if (declared !== '' && declared !== 'application/json') {
    throw invalid(`Content-Type: ${show(declared)} is not a media type of manifests`)
  }
  if (typeof json.mediaType === 'string') {
    if (isManifestMediaType(json.mediaType)) return json.mediaType
    throw invalid(`mediaType: ${show(json.mediaType)} is not a media type of manifests`)
  }
  return json.manifests === undefined ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.ociIndex
}

/**
 * Clients written in Go read `Layers`, too, and `layers` with a long s: what they would pull then is not what is read here, so
 * that nothing would keep it.
 */
function refuseOtherCase(json: Json, names: readonly string[], path: string): void {
  for (const key of Object.keys(json)) {
    const name = key.toUpperCase().toLowerCase()
    if (name !== key && names.includes(name)) throw invalid(`${path}${key}: it is written ${name}`)
  }
}

function descriptors(value: unknown, path: string): Descriptor[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(`${path}: expected a list`)
  return value.map((entry, index) => descriptor(entry, `${path}[${index}]`))
}

function descriptor(value: unknown, path: string): Descriptor {
  if (!isObject(value)) throw invalid(`${path}: expected a descriptor`)
  refuseOtherCase(value, ['digest'], `${path}.`)
  const { mediaType, digest, size, urls, platform } = value
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`${path}.mediaType: expected a media type`)
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw invalid(`${path}.digest: expected a sha256 or sha512 digest, found ${show(digest)}`)
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${path}.size: expected a number of bytes, found ${show(size)}`)
  }
  if (urls !== undefined && urls !== null && !(Array.isArray(urls) && urls.every((url) => typeof url === 'string'))) {
    throw invalid(`${path}.urls: expected a list of texts`)
  }
  const result: Descriptor = { mediaType, digest, size }
  if (Array.isArray(urls) && urls.length > 0) result.urls = urls
  if (isObject(platform)) result.platform = platform as Platform
  const artifactType = text(value.artifactType, `${path}.artifactType`)
  if (artifactType) result.artifactType = artifactType
  const notes = annotations(value.annotations, `${path}.annotations`)
  if (notes !== undefined) result.annotations = notes
  return result
}

function annotations(value: unknown, path: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  if (!isObject(value) || !Object.values(value).every((entry) => typeof entry === 'string')) {
    throw invalid(`${path}: expected a map of texts`)
  }
  if (Object.keys(value).length > MAX_ANNOTATIONS) throw invalid(`${path}: more than ${MAX_ANNOTATIONS} entries`)
  return value as Record<string, string>
}

function text(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw invalid(`${path}: expected a text`)
  return value
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 100)
}

function invalid(detail: string, cause?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { detail, cause })
}

/** The child of an index that a client without index support is meant: linux/amd64, as registry:2 chooses. */
export function defaultChild(index: Manifest): Digest | undefined {
  return index.manifests.find(({ platform }) => platform?.os === 'linux' && platform.architecture === 'amd64')?.digest
}

/**
 * `sha256:<hex>` → `sha256-<hex>`: where clients keep referrers on registries without that API. The encoded part is cut to
 * 64 characters (OCI Distribution Specification 1.1, "Referrers Tag Schema").
 */
export function referrersTag(subject: Digest): string {
  return `${algorithmOf(subject)}-${hexOf(subject).slice(0, 64)}`
}
