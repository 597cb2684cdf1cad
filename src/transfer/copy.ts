import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { formatPlatform } from '../oci/platform.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { inParallel } from './parallel.ts'
import type { Action, ImageSource, ImageTarget, Meter } from './transfer.ts'
import { blobsOf, guardManifests, inOrder, type ManifestGuard, type Node, readTree } from './tree.ts'

export interface CopyOptions {
  source: ImageSource
  target: ImageTarget
  /** What refers to a manifest comes with it. */
  referrers?: boolean
  /** Nothing is written: what would be done is told. */
  isDry?: boolean
  /** Blobs at a time. */
  jobs: number
  meter: Meter
}

/** What became of a part of an image. Of a dry run: what would. */
export interface Step {
  kind: 'blob' | 'manifest' | 'tag'
  digest: Digest
  size: number
  action: Action
  /** Of a manifest in an index. */
  platform?: string
  /** The name of a tag. */
  tag?: string
  /** It came because it refers to another one. */
  isReferrer?: true
}

export interface Copier {
  /**
   * Copies an image under `reference` (a tag, or its own digest) with all that it needs: nothing is visible there before it is
   * whole. Done twice, the second finds it there. @throws UpstreamError
   */
  copy(root: FetchedManifest, reference: string): Promise<Step[]>
}

/** A manifest to be put, under further names than its digest. */
interface Wanted {
  node: Node
  isThere: boolean
  tags: readonly string[]
  isReferrer?: true
}

/** One source, one target: what one image brought, the next one finds. */
export function createCopier(options: CopyOptions): Copier {
  const { source, target, isDry = false, jobs, meter } = options
  const known = new Set<Digest>()
  const settled = new Set<Digest>()

  async function hasManifest(digest: Digest): Promise<boolean> {
    if (known.has(digest)) return true
    const isThere = await target.hasManifest(digest)
    if (isThere) known.add(digest)
    return isThere
  }

  // Whoever wants referrers wants them of each image in an index, too.
  const isKnown = async (digest: Digest) => !options.referrers && (await hasManifest(digest))

  async function wantedOf(root: Node, tags: readonly string[]): Promise<Wanted[]> {
    const nodes = inOrder(root)
    return await inParallel(nodes, jobs, async (node) => ({
      node,
      isThere: await hasManifest(node.fetched.digest),
      tags: node === root ? tags : [],
    }))
  }

  /** What refers to these, and what refers to that. */
  async function referrersOf(of: readonly Wanted[], seen: Set<Digest>, guard: ManifestGuard): Promise<Wanted[]> {
    const found: Wanted[] = []
    for (const { node } of of) {
      const { manifests, tags } = await source.referrers(node.fetched.digest)
      for (const { reference, isTag } of [
        ...manifests.map(({ digest }) => ({ reference: digest as string, isTag: false })),
        ...tags.map((tag) => ({ reference: tag, isTag: true })),
      ]) {
        const fetched = await source.manifest(reference)
        if (seen.has(fetched.digest)) continue
        seen.add(fetched.digest)
        const own = await wantedOf(await readTree(source, fetched, isKnown, guard), isTag ? [reference] : [])
        found.push(...own.map((one) => ({ ...one, isReferrer: true as const })))
        found.push(...(await referrersOf(own, seen, guard)))
      }
    }
    return found
  }

  async function moveBlob(blob: Descriptor): Promise<Step> {
    const step = { kind: 'blob', digest: blob.digest, size: blob.size } as const
    if (settled.has(blob.digest)) return { ...step, action: 'skipped' }
    if (await target.hasBlob(blob)) {
      settled.add(blob.digest)
      return { ...step, action: 'skipped' }
    }
    if (isDry) return { ...step, action: target.mayMount ? 'mounted' : 'copied' }
    const row = meter.begin(blob)
    try {
      const action = await target.take(blob, source, row.at)
      row.end(action)
      settled.add(blob.digest)
      return { ...step, action }
    } catch (error) {
      row.end('failed')
      throw error
    }
  }

  async function putManifest({ node, isThere, tags, isReferrer }: Wanted): Promise<Step[]> {
    const { fetched, platform } = node
    const { digest, bytes } = fetched
    const step = { digest, size: bytes.byteLength }
    const steps: Step[] = []
    for (const tag of tags) {
      const action = (await target.taggedBy(tag)) === digest ? 'skipped' : 'copied'
      if (!isDry && action === 'copied') await target.putManifest(tag, fetched)
      steps.push({ kind: 'tag', ...step, action, tag })
    }
    // Under a tag it is stored, too.
    if (!isDry && !isThere && tags.length === 0) await target.putManifest(digest, fetched)
    if (!isDry) known.add(digest)
    const of = {
      ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
      ...(isReferrer ? { isReferrer } : {}),
    }
    return [{ kind: 'manifest', ...step, action: isThere ? 'skipped' : 'copied', ...of }, ...steps]
  }

  return {
    async copy(root, reference) {
      const { digest } = root
      if (isDigest(reference) && reference !== digest) {
        throw new UpstreamError('usage', `${source.name} is ${digest}: it cannot be ${reference} at ${target.name}`)
      }
      const tags = isDigest(reference) ? [] : [reference]
      const guard = guardManifests(source.name)
      const own = await wantedOf(await readTree(source, root, isKnown, guard), tags)
      const seen = new Set(own.map(({ node }) => node.fetched.digest))
      const others = options.referrers ? await referrersOf(own, seen, guard) : []
      const blobs = new Map<Digest, Descriptor>()
      for (const { node, isThere } of [...own, ...others]) {
        if (!isThere) for (const blob of blobsOf(node.parsed)) blobs.set(blob.digest, blob)
      }
      const steps = await inParallel([...blobs.values()], jobs, moveBlob)
      const untagged = own.map((wanted) => ({ ...wanted, tags: [] }))
      // Whoever follows the tag finds the signatures there already.
      for (const wanted of others.length === 0 ? own : [...untagged, ...others])
        steps.push(...(await putManifest(wanted)))
      if (others.length > 0) {
        for (const wanted of own.filter((one) => one.tags.length > 0)) {
          steps.push(...(await putManifest({ ...wanted, isThere: true })).filter(({ kind }) => kind === 'tag'))
        }
      }
      return steps
    },
  }
}
