import { type Algorithm, algorithmOf, type Digest, hexOf, isAlgorithm, isDigest } from '../oci/digest.ts'
import { isRepositoryName, isTag } from '../oci/name.ts'

/**
 * Where registry:2 (and 3) keeps what, below its root directory: `docker/registry/v2/...`. Pure words: nothing is read
 * or written here. Paths are relative to the root directory, parts joined by `/`.
 */
const ROOT = 'docker/registry/v2'

/** Contents of layers, configs and manifests. */
export const BLOBS_ROOT = `${ROOT}/blobs`
/** Which repository has what. */
export const REPOSITORIES_ROOT = `${ROOT}/repositories`
/** The name that adoption gives it, so that the original finds nothing there to misunderstand. */
export const ADOPTED_ROOT = `${REPOSITORIES_ROOT}.berth`

/** Folders of one repository. No part of a repository's name can begin with `_`, so they never collide with one. */
export const LAYERS = '_layers'
export const REVISIONS = '_manifests/revisions'
export const TAGS = '_manifests/tags'
export const UPLOADS = '_uploads'

/** One file of the tree. */
export type DistributionFile =
  /** The content itself. */
  | { kind: 'blob'; digest: Digest }
  /** The repository may serve the blob. A link of another algorithm than sha256 leads to the sha256 digest. */
  | { kind: 'layer'; repository: string; digest: Digest }
  /** The repository has the manifest. */
  | { kind: 'revision'; repository: string; digest: Digest }
  /** What the tag points to. */
  | { kind: 'current'; repository: string; tag: string }
  /** A manifest that the tag points or pointed to. */
  | { kind: 'past'; repository: string; tag: string; digest: Digest }
  /** Bytes of an upload so far. */
  | { kind: 'upload-data'; repository: string; upload: string }
  /** When it began, RFC 3339. */
  | { kind: 'upload-start'; repository: string; upload: string }
  /** Go's own state of the running hash after so many bytes. */
  | { kind: 'upload-hash'; repository: string; upload: string; algorithm: Algorithm; offset: number }

/** `root` is where repositories are: `REPOSITORIES_ROOT`, or what that was renamed to. */
export function pathOf(file: DistributionFile, root = REPOSITORIES_ROOT): string {
  if (file.kind === 'blob') return `${blobFolder(file.digest)}/data`
  const folder = `${root}/${file.repository}`
  switch (file.kind) {
    case 'layer':
      return `${folder}/${LAYERS}/${linkOf(file.digest)}`
    case 'revision':
      return `${folder}/${REVISIONS}/${linkOf(file.digest)}`
    case 'current':
      return `${folder}/${TAGS}/${file.tag}/current/link`
    case 'past':
      return `${folder}/${TAGS}/${file.tag}/index/${linkOf(file.digest)}`
    case 'upload-data':
      return `${folder}/${UPLOADS}/${file.upload}/data`
    case 'upload-start':
      return `${folder}/${UPLOADS}/${file.upload}/startedat`
    case 'upload-hash':
      return `${folder}/${UPLOADS}/${file.upload}/hashstates/${file.algorithm}/${file.offset}`
  }
}

/** The folder of everything that has the digest. */
export function blobFolder(digest: Digest): string {
  const hex = hexOf(digest)
  return `${BLOBS_ROOT}/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

/** The inverse of `pathOf`; undefined for whatever Berth has no word for (other files, names that no client may use). */
export function parsePath(path: string, root = REPOSITORIES_ROOT): DistributionFile | undefined {
  if (path.startsWith(`${BLOBS_ROOT}/`)) return parseBlob(path)
  if (!path.startsWith(`${root}/`)) return undefined
  const parts = path.slice(root.length + 1).split('/')
  const end = parts.findIndex((part) => part.startsWith('_'))
  const repository = parts.slice(0, end).join('/')
  if (end === -1 || !isRepositoryName(repository)) return undefined
  const [area, ...rest] = parts.slice(end)
  if (area === LAYERS) return withDigest(parseLink(rest), (digest) => ({ kind: 'layer', repository, digest }))
  if (area === UPLOADS) return parseUpload(repository, rest)
  if (area !== '_manifests') return undefined
  const [kind, ...below] = rest
  if (kind === 'revisions') {
    return withDigest(parseLink(below), (digest) => ({ kind: 'revision', repository, digest }))
  }
  return kind === 'tags' ? parseTag(repository, below) : undefined
}

/** What a link's file holds. */
export function linkText(digest: Digest): string {
  return digest
}

/** The digest in a link's file; undefined when it holds none (a crash of registry:2 leaves empty ones). */
export function parseLinkText(text: string): Digest | undefined {
  // Whoever mended a link by hand has left a line break behind it.
  const digest = text.trim()
  return isDigest(digest) ? digest : undefined
}

/** An upload's id as it stands in its URL, and as a folder's name. */
export function isUploadId(text: string): boolean {
  return /^[A-Za-z0-9_.=-]{1,255}$/.test(text) && text !== '.' && text !== '..'
}

function parseBlob(path: string): DistributionFile | undefined {
  const parts = path.slice(BLOBS_ROOT.length + 1).split('/')
  const [algorithm, shard, hex, name] = parts
  const isBlob = parts.length === 4 && name === 'data' && hex?.slice(0, 2) === shard
  return isBlob ? withDigest(digestFrom(algorithm, hex), (digest) => ({ kind: 'blob', digest })) : undefined
}

function parseTag(repository: string, parts: readonly string[]): DistributionFile | undefined {
  const [tag, area, ...rest] = parts
  if (tag === undefined || !isTag(tag)) return undefined
  if (area === 'index') return withDigest(parseLink(rest), (digest) => ({ kind: 'past', repository, tag, digest }))
  return area === 'current' && rest.length === 1 && rest[0] === 'link'
    ? { kind: 'current', repository, tag }
    : undefined
}

function parseUpload(repository: string, parts: readonly string[]): DistributionFile | undefined {
  const [upload, name, algorithm, offset] = parts
  if (upload === undefined || !isUploadId(upload)) return undefined
  if (parts.length === 2 && name === 'data') return { kind: 'upload-data', repository, upload }
  if (parts.length === 2 && name === 'startedat') return { kind: 'upload-start', repository, upload }
  if (parts.length !== 4 || name !== 'hashstates' || algorithm === undefined || !isAlgorithm(algorithm))
    return undefined
  const bytes = Number(offset)
  if (!Number.isSafeInteger(bytes) || String(bytes) !== offset || bytes < 0) return undefined
  return { kind: 'upload-hash', repository, upload, algorithm, offset: bytes }
}

function linkOf(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}/link`
}

function parseLink(parts: readonly string[]): Digest | undefined {
  const [algorithm, hex, name] = parts
  return parts.length === 3 && name === 'link' ? digestFrom(algorithm, hex) : undefined
}

function digestFrom(algorithm: string | undefined, hex: string | undefined): Digest | undefined {
  const text = `${algorithm}:${hex}`
  return isDigest(text) ? text : undefined
}

function withDigest(
  digest: Digest | undefined,
  file: (digest: Digest) => DistributionFile,
): DistributionFile | undefined {
  return digest === undefined ? undefined : file(digest)
}
