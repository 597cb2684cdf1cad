import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { isImageConfig, isManifestMediaType } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { guardManifests, type ManifestGuard, readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, type RepositoryReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { readConfig } from './image.ts'
import { problemOf } from './incomplete.ts'

/** What is known of a tag whose manifest, or one that it names, cannot be read: what could be, and why. */
export type UnreadTag = Pick<TagDetails, 'tag'> &
  Partial<Pick<TagDetails, 'digest' | 'mediaType'>> & { problem: string }

/** What stands behind a tag. */
export interface TagDetails {
  tag: string
  digest: Digest
  mediaType: string
  /** `os/architecture[/variant]` of each image; none for an artifact. */
  platforms: string[]
  /** Bytes of the manifests, configs and layers, each counted once. */
  size: number
  /** RFC 3339; the newest of several images. Null where no config says it. */
  created: string | null
}

interface Content {
  platforms: string[]
  /** Size by digest. */
  parts: Map<Digest, number>
  created: string | null
}

/**
 * Images that several tags name are read once. Undefined for a tag that has gone meanwhile; one that cannot be read says so, for the others
 * can be. @throws UpstreamError where none could be read any more
 */
export function tagReader(upstream: Upstream, repository: RepositoryReference) {
  const known = new Map<Digest, Promise<Content>>()

  async function contentOf(
    digest: Digest,
    depth: number,
    guard: ManifestGuard,
    fetched = upstream.manifest(repository, digest),
  ) {
    const manifest = await fetched
    guard(manifest)
    const what = `${formatRepository(repository)}@${digest}`
    const content = await describe(readManifest(what, manifest), depth, guard)
    content.parts.set(digest, manifest.bytes.byteLength)
    return content
  }

  async function describe(
    { config, layers, manifests }: Manifest,
    depth: number,
    guard: ManifestGuard,
  ): Promise<Content> {
    // What an index names that is no manifest is a blob (a build cache).
    const isManifest = ({ mediaType }: Descriptor) => isManifestMediaType(mediaType)
    const blobs = [...layers, ...(config ? [config] : []), ...manifests.filter((one) => !isManifest(one))]
    const parts = new Map<Digest, number>(blobs.map((one) => [one.digest, one.size]))
    const children: Content[] = []
    if (depth > 0)
      for (const { digest } of manifests.filter(isManifest)) children.push(await remembered(digest, depth - 1, guard))
    for (const child of children) for (const [digest, size] of child.parts) parts.set(digest, size)
    const own = config && isImageConfig(config.mediaType) ? config : undefined
    const json = own && (await readConfig(upstream, repository, own)).json
    const times = [json?.created, ...children.map(({ created }) => created)].filter((time) => typeof time === 'string')
    const listed = manifests.flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : []))
    const platforms = listed.length > 0 ? listed : children.flatMap((child) => child.platforms)
    if (json?.os !== undefined) platforms.push(formatPlatform(json as { os: string }))
    return {
      platforms: [...new Set(platforms)].filter((name) => !name.startsWith('unknown/')),
      parts,
      created: times.sort((a, b) => Date.parse(a) - Date.parse(b)).at(-1) ?? null,
    }
  }

  function remembered(
    digest: Digest,
    depth: number,
    guard: ManifestGuard,
    fetched?: ReturnType<Upstream['manifest']>,
  ): Promise<Content> {
    const content = known.get(digest) ?? contentOf(digest, depth, guard, fetched)
    known.set(digest, content)
    return content
  }

  return async (tag: string): Promise<TagDetails | UnreadTag | undefined> => {
    const known: Pick<UnreadTag, 'digest' | 'mediaType'> = {}
    const what = `${formatRepository(repository)}:${tag}`
    try {
      const fetched = await upstream.manifest(repository, tag)
      const { digest, mediaType } = fetched
      Object.assign(known, { digest, mediaType })
      const guard = guardManifests(what)
      // An index in an index in an index has never been seen.
      const { platforms, parts, created } = await remembered(digest, 2, guard, Promise.resolve(fetched))
      const size = [...parts.values()].reduce((sum, one) => sum + one, 0)
      return { tag, digest, mediaType, platforms, size, created }
    } catch (error) {
      const isGone =
        error instanceof UpstreamError && error.code === 'MANIFEST_UNKNOWN' && error.message.includes(`:${tag}:`)
      if (isGone) return undefined
      return { tag, ...known, problem: problemOf(error, what).replace(`${known.digest} `, '') }
    }
  }
}
