import type { Descriptor, Platform } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { isManifestMediaType, isNonDistributable } from '../oci/media-type.ts'
import { formatPlatform } from '../oci/platform.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import type { ImageSource } from './transfer.ts'

/** A manifest, and what it names. */
export interface Node {
  fetched: FetchedManifest
  parsed: Manifest
  platform: Platform | undefined
  /** Of an index. Empty where nobody went down. */
  children: readonly Node[]
}

/** Indexes within indexes; real ones have one or two levels. */
const MAX_DEPTH = 8
/** Manifests that one image leads to, and their bytes, which are kept in memory. */
const MOST_MANIFESTS = 10_000
const MOST_BYTES = 256 * 1024 * 1024

/** Counts the manifests that an image leads to. @throws UpstreamError `invalid` for more than any image has */
export type ManifestGuard = (fetched: FetchedManifest) => void

/** `what`: the image, as errors name it. */
export function guardManifests(what: string): ManifestGuard {
  let count = 0
  let size = 0
  return ({ bytes }) => {
    size += bytes.byteLength
    if (++count > MOST_MANIFESTS || size > MOST_BYTES) {
      throw new UpstreamError(
        'invalid',
        `${what} leads to more manifests than any image has (${count}, of ${size} bytes)`,
      )
    }
  }
}

/** @throws UpstreamError `invalid` */
export function readManifest(what: string, { bytes, mediaType }: Omit<FetchedManifest, 'digest'>): Manifest {
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    const detail = error instanceof Error && 'detail' in error ? String(error.detail) : String(error)
    throw new UpstreamError('invalid', `${what} has no manifest that can be read: ${detail}`, { cause: error })
  }
}

/**
 * A manifest with all that it names. Below one for which `isKnown` says yes, nobody looks.
 * @throws UpstreamError `not-found` for an index of which a part is missing
 */
export async function readTree(
  source: ImageSource,
  root: FetchedManifest,
  isKnown: (digest: Digest) => Promise<boolean>,
  guard = guardManifests(source.name),
): Promise<Node> {
  const seen = new Map<Digest, Node>()

  async function visit(fetched: FetchedManifest, platform: Platform | undefined, depth: number): Promise<Node> {
    guard(fetched)
    if (depth > MAX_DEPTH) {
      throw new UpstreamError('invalid', `${source.name}@${root.digest} has indexes in more than ${MAX_DEPTH} levels`)
    }
    const parsed = readManifest(`${source.name}@${fetched.digest}`, fetched)
    const children: Node[] = []
    if (parsed.manifests.length > 0 && !(await isKnown(fetched.digest))) {
      for (const child of parsed.manifests.filter(({ mediaType }) => isManifestMediaType(mediaType))) {
        const found = seen.get(child.digest)
        if (found !== undefined) mustHaveSize(`${source.name}@${child.digest}`, found.fetched, child)
        children.push(found ?? (await visit(await childOf(source, parsed, child), child.platform, depth + 1)))
      }
    }
    const node = { fetched, parsed, platform, children }
    seen.set(fetched.digest, node)
    return node
  }

  return await visit(root, undefined, 1)
}

async function childOf(source: ImageSource, index: Manifest, child: Descriptor): Promise<FetchedManifest> {
  const of = child.platform === undefined ? '' : ` (${formatPlatform(child.platform)})`
  try {
    const fetched = await source.manifest(child.digest)
    mustHaveSize(`${source.name}@${child.digest}`, fetched, child)
    return fetched
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.fault !== 'not-found') throw error
    const others = index.manifests.filter((one) => one !== child && one.platform?.architecture !== 'unknown')
    const other = others.find(({ platform }) => platform !== undefined)?.platform
    throw new UpstreamError(
      'not-found',
      `${source.name} has an index without one of its images: ${child.digest}${of}`,
      {
        hint: other === undefined ? undefined : `to have one of the others alone: --platform ${formatPlatform(other)}`,
        cause: error,
      },
    )
  }
}

/** @throws UpstreamError `invalid` for a manifest of another size than the index that names it says */
export function mustHaveSize(what: string, { bytes }: FetchedManifest, { size }: Descriptor): void {
  if (bytes.byteLength === size) return
  throw new UpstreamError('invalid', `${what} has ${bytes.byteLength} bytes, and its index says ${size}`)
}

/** Children before their index, each once. */
export function inOrder(root: Node): Node[] {
  const order = new Map<Digest, Node>()
  const visit = (node: Node): void => {
    if (order.has(node.fetched.digest)) return
    for (const child of node.children) visit(child)
    order.set(node.fetched.digest, node)
  }
  visit(root)
  return [...order.values()]
}

/** What a registry must hold for a manifest, and no more: layers that live elsewhere stay there. Of an index, whatever is no manifest. */
export function blobsOf({ config, layers, manifests }: Manifest): Descriptor[] {
  const own = [...(config === undefined ? [] : [config]), ...layers]
  const others = manifests.filter(({ mediaType }) => !isManifestMediaType(mediaType))
  return [...own, ...others].filter(({ mediaType, urls }) => !(isNonDistributable(mediaType) && urls !== undefined))
}
