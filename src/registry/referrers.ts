import { LRUCache } from 'lru-cache'
import type { Metadata } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { parseManifest, referrersTag } from '../oci/manifest.ts'
import { isIndexMediaType } from '../oci/media-type.ts'

export interface Referrers {
  /** In byte order of digests; `more` when further ones come after the last. */
  list(
    repository: string,
    subject: Digest,
    artifactType: string | undefined,
    last: string | undefined,
  ): Promise<ReferrersPage>
}

export interface ReferrersPage {
  descriptors: Descriptor[]
  more: boolean
}

/** Referrers in one answer, which must stay under the 4 MiB that clients take for an index. */
const PAGE = 500
/** Descriptors of fallback indexes that memory holds. */
const CACHED_DESCRIPTORS = 50_000
/** Characters of JSON in one answer, where annotations are large. */
const PAGE_SIZE = 3 * 1024 * 1024

/** OCI Distribution Specification 1.1, "Listing Referrers"; entries that clients keep under the fallback tag count too. */
export function createReferrers({ metadata }: { metadata: Metadata }): Referrers {
  /** By the index's digest, which names its content: a large one is read once, not at each request. */
  const indexes = new LRUCache<Digest, readonly Descriptor[]>({
    maxSize: CACHED_DESCRIPTORS,
    sizeCalculation: (descriptors) => descriptors.length + 1,
  })

  /** What clients wrote to the fallback tag, before the registry knew referrers or because they do not. */
  async function fallback(repository: string, subject: Digest): Promise<readonly Descriptor[]> {
    const tagged = await metadata.manifests.resolve(repository, referrersTag(subject))
    if (tagged === undefined || !isIndexMediaType(tagged.mediaType)) return []
    const cached = indexes.get(tagged.digest)
    if (cached !== undefined) return cached
    try {
      const { manifests } = parseManifest(tagged.bytes, tagged.mediaType)
      indexes.set(tagged.digest, manifests)
      return manifests
    } catch (error) {
      if (error instanceof RegistryError) return []
      throw error
    }
  }

  return {
    async list(repository, subject, artifactType, last) {
      const [known, others] = await Promise.all([
        metadata.referrers.list(repository, subject, artifactType, { last, limit: PAGE + 1 }),
        fallback(repository, subject),
      ])
      const byDigest = new Map<string, Descriptor>()
      for (const descriptor of others) {
        const isWanted = artifactType === undefined || descriptor.artifactType === artifactType
        const isLater = last === undefined || descriptor.digest > last
        if (isWanted && isLater) byDigest.set(descriptor.digest, descriptor)
      }
      // Of what clients wrote themselves, only what comes before the rows that were not read.
      const edge = known.more ? known.descriptors.at(-1)?.digest : undefined
      if (edge !== undefined) for (const digest of byDigest.keys()) if (digest > edge) byDigest.delete(digest)
      for (const descriptor of known.descriptors) byDigest.set(descriptor.digest, descriptor)
      const sorted = [...byDigest.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
      const descriptors = firstPage(sorted)
      return { descriptors, more: known.more || sorted.length > descriptors.length }
    },
  }
}

/** As many as fit, and at least one. */
function firstPage(sorted: readonly Descriptor[]): Descriptor[] {
  let size = 0
  const end = sorted.findIndex((descriptor, index) => {
    size += JSON.stringify(descriptor).length
    return index === PAGE || (index > 0 && size > PAGE_SIZE)
  })
  return end === -1 ? [...sorted] : sorted.slice(0, end)
}
