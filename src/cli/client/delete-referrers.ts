import type { Digest } from '../../oci/digest.ts'
import { referrersTag } from '../../oci/manifest.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, type RepositoryReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** Manifests that go with one. */
const MOST = 1000

/**
 * Digests of what refers to a manifest, and of what refers to that, in the order in which they are deleted: nothing is left
 * without what it is about. The tags of cosign are among them, and the index that stands in for a list of referrers.
 * @throws UpstreamError
 */
export async function referrersBelow(
  upstream: Upstream,
  repository: RepositoryReference,
  subject: Digest,
): Promise<Digest[]> {
  const source = registrySource(upstream, repository)
  const seen = new Set<Digest>([subject])
  const found: Digest[] = []

  async function gather(of: Digest): Promise<void> {
    const { manifests, tags } = await source.referrers(of)
    const named = manifests.map(({ digest }) => digest as string)
    // The index that stands in for a list comes last: it leads to the others.
    for (const reference of [...named, ...tags, referrersTag(of)]) {
      const digest = (await upstream.head(repository, reference))?.digest
      if (digest === undefined || seen.has(digest)) continue
      if (seen.size > MOST) {
        throw new UpstreamError(
          'invalid',
          `more than ${MOST} manifests of ${formatRepository(repository)} refer to ${subject}`,
        )
      }
      seen.add(digest)
      await gather(digest)
      found.push(digest)
    }
  }

  await gather(subject)
  return found
}
