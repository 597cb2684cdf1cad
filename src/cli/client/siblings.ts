import type { Digest } from '../../oci/digest.ts'
import { inParallel } from '../../transfer/parallel.ts'
import type { RepositoryReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** Tags that are asked at a time. */
const READERS = 8

/** Every tag of the repository that stands for this digest, in the order of the registry. @throws UpstreamError */
export async function tagsOf(upstream: Upstream, repository: RepositoryReference, digest: Digest): Promise<string[]> {
  return (await tagsByDigest(upstream, repository)).get(digest) ?? []
}

/** The tags of each digest, in the order of the registry. @throws UpstreamError */
export async function tagsByDigest(
  upstream: Upstream,
  repository: RepositoryReference,
): Promise<Map<Digest | undefined, string[]>> {
  const tags = await Array.fromAsync(upstream.tags(repository))
  const digests = await inParallel(tags, READERS, async (tag) => (await upstream.head(repository, tag))?.digest)
  return Map.groupBy(tags, (_, index) => digests[index])
}
