import { Command } from 'commander'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { isIndexMediaType } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, type ImageReference, parseImage } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { bytesText } from '../progress.ts'
import { printable } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchManifest } from './image.ts'
import { formatOption, parseFormat, show } from './output.ts'

interface TreeFlags extends ConnectionFlags {
  artifactType?: string
  trunc: boolean
  format: string
}

/** One content of an image, and what hangs on it. */
interface TreeNode {
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

export function treeCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('tree').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')))
    .option('--artifact-type <type>', 'only referrers of this type')
    .option('--no-trunc', 'with whole digests')
    .action(async (name: string, flags: TreeFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const upstream = connect(context, flags)
      const root = await createReader(upstream, image, flags.artifactType)(await fetchManifest(upstream, image))
      show(context, format, {
        whole: { name: formatImage(image), ...root },
        text: textOf(formatImage(image), root, flags.trunc)
          .map((line) => `${printable(line)}\n`)
          .join(''),
      })
    })
}

function createReader(upstream: Upstream, image: ImageReference, artifactType: string | undefined) {
  const seen = new Set<Digest>()
  const sizes = new Map<Digest, number>()
  let manifests = 0
  let leaves = 0

  /** An index may name one manifest a thousand times, and that one, too. */
  function count(names: number): void {
    leaves += names
    const most = ++manifests > MAX_MANIFESTS ? `${MAX_MANIFESTS} manifests` : `${MAX_LEAVES} configs and layers`
    if (manifests <= MAX_MANIFESTS && leaves <= MAX_LEAVES) return
    throw new UpstreamError('invalid', `${formatImage(image)} leads to more than ${most}`)
  }

  async function read(fetched: FetchedManifest, descriptor?: Descriptor, depth = 0): Promise<TreeNode> {
    const { digest, mediaType, bytes } = fetched
    const manifest = readManifest(`${formatRepository(image)}@${digest}`, fetched)
    seen.add(digest)
    count(manifest.layers.length + 1)
    const children: TreeNode[] = []
    for (const child of manifest.manifests) children.push(await readChild(child, depth + 1))
    if (manifest.config !== undefined) children.push(leafOf('config', manifest.config))
    children.push(...manifest.layers.map((layer) => leafOf('layer', layer)))
    const node: TreeNode = {
      kind: kindOf(mediaType, manifest.config?.mediaType, descriptor),
      ...{ digest, mediaType, size: bytes.byteLength, children, isThere: true },
      platform: descriptor?.platform === undefined ? null : formatPlatform(descriptor.platform),
      artifactType: isIndexMediaType(mediaType) ? null : (manifest.artifactType ?? null),
      referrers: depth < MAX_DEPTH ? await referrersOf(digest, depth + 1) : [],
    }
    sizes.set(digest, bytes.byteLength)
    const contents = new Map(contentsOf(node, sizes))
    return { ...node, size: [...contents.values()].reduce((sum, size) => sum + size, 0) }
  }

  async function readChild(descriptor: Descriptor, depth: number): Promise<TreeNode> {
    if (depth > MAX_DEPTH)
      throw new UpstreamError('invalid', `${formatImage(image)} has indexes within indexes without end`)
    try {
      return await read(await upstream.manifest(image, descriptor.digest), descriptor, depth)
    } catch (error) {
      if (!(error instanceof UpstreamError && error.fault === 'not-found')) throw error
      count(1)
      sizes.set(descriptor.digest, 0)
      const platform = descriptor.platform === undefined ? null : formatPlatform(descriptor.platform)
      const kind = kindOf(descriptor.mediaType, undefined, descriptor)
      return { ...leafOf('layer', descriptor), kind, platform, isThere: false, size: 0 }
    }
  }

  async function referrersOf(subject: Digest, depth: number): Promise<TreeNode[]> {
    const found = await upstream.referrers(image, subject, artifactType)
    const nodes: TreeNode[] = []
    // What refers to itself through others is shown once.
    for (const descriptor of found.filter(({ digest }) => !seen.has(digest)))
      nodes.push(await readChild(descriptor, depth))
    return nodes
  }

  return read
}

/** Each content below a node with its size, those of referrers aside. */
function contentsOf(node: TreeNode, manifests: ReadonlyMap<Digest, number>): [Digest, number][] {
  const own: [Digest, number] = [node.digest, manifests.get(node.digest) ?? node.size]
  return [own, ...node.children.flatMap((child) => contentsOf(child, manifests))]
}

function kindOf(mediaType: string, config: string | undefined, descriptor: Descriptor | undefined): TreeNode['kind'] {
  if (isIndexMediaType(mediaType)) return 'index'
  // Provenance and SBOMs as BuildKit keeps them beside the images of an index.
  if (descriptor?.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest') return 'attestation'
  return config === undefined || /\b(image\.config|container\.image)\b/.test(config) ? 'image' : 'artifact'
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
    children: [],
    referrers: [],
  }
}

/** A line for each content, with the branches that lead to it. */
function textOf(name: string, root: TreeNode, isShort: boolean): string[] {
  const digestOf = ({ digest }: TreeNode) => (isShort ? digest.replace(/^(\w+:\w{12})\w*$/, '$1') : digest)
  const told = (node: TreeNode) => `${digestOf(node)}  ${node.isThere ? bytesText(node.size) : 'not there'}`
  const lines = [`${name}  ${root.kind}  ${told(root)}`]

  function below(node: TreeNode, indent: string): void {
    let layer = 0
    const named = [
      ...node.children.map((child) => {
        const what = child.kind === 'layer' ? `layer ${++layer}` : child.kind
        const platform = child.platform === null || child.kind === 'attestation' ? '' : `${child.platform}  `
        return { child, text: `${platform}${what}` }
      }),
      ...node.referrers.map((child) => ({ child, text: `refers to it  ${child.artifactType ?? child.kind}` })),
    ]
    for (const [index, { child, text }] of named.entries()) {
      const isLast = index === named.length - 1
      lines.push(`${indent}${isLast ? '└── ' : '├── '}${text}  ${told(child)}`)
      below(child, `${indent}${isLast ? '    ' : '│   '}`)
    }
  }

  below(root, '')
  return lines
}
