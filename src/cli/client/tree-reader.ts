import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { isImageConfig, isIndexMediaType, isManifestMediaType } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, type ImageReference } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { problemOf, type Unread } from './incomplete.ts'

/** One content of an image, and what hangs on it. */
export interface TreeNode {
  kind: 'index' | 'image' | 'artifact' | 'attestation' | 'config' | 'layer'
  digest: Digest
  mediaType: string
  /** Bytes: of a manifest with all that it names, each content counted once. */
  size: number
  /** `os/architecture[/variant]`, where the index says it. */
  platform: string | null
  artifactType: string | null
  /** Whether the registry has it: an index may name what was never pushed. */
  isThere: boolean
  /** Why it, or the list of what refers to it, could not be read; null: it could. */
  problem: string | null
  /** What a manifest names: images of an index, else its config and layers, the lowest first. */
  children: TreeNode[]
  /** Manifests that name it as their subject. */
  referrers: TreeNode[]
}

/** Manifests that are shown of one image, each time that it names them; a registry must not keep us for ever. */
const MAX_MANIFESTS = 5000
/** Configs and layers that are shown of one image. */
const MAX_LEAVES = 100_000
/** Indexes within indexes, and referrers of referrers. */
const MAX_DEPTH = 8

/**
 * Reads what an image is made of, and what refers to it, down to a depth. What cannot be read is a node with its problem, and one of `unread`. @throws UpstreamError where nothing
 * could be read any more, or the image leads to more than any has
 */
export function createTreeReader(
  upstream: Upstream,
  image: ImageReference,
  artifactType: string | undefined,
  depthWanted = MAX_DEPTH,
) {
  const seen = new Set<Digest>()
  const sizes = new Map<Digest, number>()
  const unread: Unread[] = []
  let manifests = 0
  let leaves = 0

  /** An index may name one manifest a thousand times, and that one, too. */
  function count(names: number): void {
    leaves += names
    const most = ++manifests > MAX_MANIFESTS ? `${MAX_MANIFESTS} manifests` : `${MAX_LEAVES} configs and layers`
    if (manifests <= MAX_MANIFESTS && leaves <= MAX_LEAVES) return
    throw new UpstreamError('invalid', `${formatImage(image)} leads to more than ${most}`)
  }

  async function read(
    fetched: FetchedManifest,
    manifest = readManifest(nameOf(fetched.digest), fetched),
    descriptor?: Descriptor,
    depth = 0,
  ): Promise<TreeNode> {
    const { digest, mediaType, bytes } = fetched
    seen.add(digest)
    count(manifest.layers.length + manifest.manifests.filter((one) => !isManifestMediaType(one.mediaType)).length + 1)
    const children: TreeNode[] = []
    for (const child of manifest.manifests) {
      // A blob: what BuildKit makes of a cache.
      const isManifest = isManifestMediaType(child.mediaType)
      children.push(isManifest ? await readChild(child, depth + 1) : leafOf('layer', child))
    }
    if (manifest.config !== undefined) children.push(leafOf('config', manifest.config))
    children.push(...manifest.layers.map((layer) => leafOf('layer', layer)))
    const { referrers, problem } =
      depth < Math.min(MAX_DEPTH, depthWanted) ? await referrersOf(digest, depth + 1) : NO_REFERRERS
    const node: TreeNode = {
      kind: kindOf(mediaType, manifest.config?.mediaType, descriptor),
      ...{ digest, mediaType, size: bytes.byteLength, children, isThere: true, problem, referrers },
      platform: descriptor?.platform === undefined ? null : formatPlatform(descriptor.platform),
      artifactType: isIndexMediaType(mediaType) ? null : (manifest.artifactType ?? null),
    }
    sizes.set(digest, bytes.byteLength)
    const contents = new Map(contentsOf(node, sizes))
    return { ...node, size: [...contents.values()].reduce((sum, size) => sum + size, 0) }
  }

  async function readChild(descriptor: Descriptor, depth: number): Promise<TreeNode> {
    if (depth > MAX_DEPTH)
      throw new UpstreamError('invalid', `${formatImage(image)} has indexes within indexes without end`)
    let fetched: FetchedManifest
    let manifest: Manifest
    try {
      fetched = await upstream.manifest(image, descriptor.digest)
      manifest = readManifest(nameOf(descriptor.digest), fetched)
    } catch (error) {
      count(1)
      return unreadNode(descriptor, error)
    }
    return await read(fetched, manifest, descriptor, depth)
  }

  /** What an index may name without that it was ever pushed, or what cannot be read. */
  function unreadNode(descriptor: Descriptor, error: unknown): TreeNode {
    const isThere = !(error instanceof UpstreamError && error.fault === 'not-found')
    const problem = isThere ? problemOf(error, nameOf(descriptor.digest)) : null
    if (problem !== null) unread.push({ name: descriptor.digest, problem })
    sizes.set(descriptor.digest, 0)
    return {
      ...leafOf('layer', descriptor),
      kind: kindOf(descriptor.mediaType, undefined, descriptor),
      platform: descriptor.platform === undefined ? null : formatPlatform(descriptor.platform),
      artifactType: descriptor.artifactType ?? null,
      ...{ isThere, problem, size: 0 },
    }
  }

  async function referrersOf(subject: Digest, depth: number): Promise<Pick<TreeNode, 'referrers' | 'problem'>> {
    let found: Descriptor[]
    try {
      found = await upstream.referrers(image, subject, artifactType)
    } catch (error) {
      const problem = problemOf(error, `the referrers of ${nameOf(subject)}`)
      unread.push({ name: `the referrers of ${subject}`, problem })
      return { referrers: [], problem: `its referrers cannot be listed: ${problem}` }
    }
    const referrers: TreeNode[] = []
    // What refers to itself through others is shown once.
    for (const descriptor of found.filter(({ digest }) => !seen.has(digest)))
      referrers.push(await readChild(descriptor, depth))
    return { referrers, problem: null }
  }

  function nameOf(digest: Digest): string {
    return `${formatRepository(image)}@${digest}`
  }

  return { read: (fetched: FetchedManifest) => read(fetched), unread, manifests: () => manifests }
}

const NO_REFERRERS = { referrers: [], problem: null }

/** Each content below a node with its size, those of referrers aside. */
function contentsOf(node: TreeNode, manifests: ReadonlyMap<Digest, number>): [Digest, number][] {
  const own: [Digest, number] = [node.digest, manifests.get(node.digest) ?? node.size]
  return [own, ...node.children.flatMap((child) => contentsOf(child, manifests))]
}

function kindOf(mediaType: string, config: string | undefined, descriptor: Descriptor | undefined): TreeNode['kind'] {
  if (isIndexMediaType(mediaType)) return 'index'
  // Provenance and SBOMs as BuildKit keeps them beside the images of an index.
  if (descriptor?.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest') return 'attestation'
  return config === undefined || isImageConfig(config) ? 'image' : 'artifact'
}

function leafOf(kind: 'config' | 'layer', { digest, mediaType, size }: Descriptor): TreeNode {
  return {
    kind,
    digest,
    mediaType,
    size,
    platform: null,
    artifactType: null,
    isThere: true,
    problem: null,
    children: [],
    referrers: [],
  }
}
