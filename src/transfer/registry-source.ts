import { algorithmOf, hexOf } from '../oci/digest.ts'
import { formatRepository, type RepositoryReference } from '../upstream/reference.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { ImageSource } from './transfer.ts'

/** What cosign keeps beside an image, by what its digest becomes as a tag. */
const COSIGN = ['sig', 'att', 'sbom']

export function registrySource(upstream: Upstream, repository: RepositoryReference): ImageSource {
  return {
    name: formatRepository(repository),
    manifest: (reference) => upstream.manifest(repository, reference),
    open: ({ digest }, start) => upstream.blobs.read(repository, digest, start),
    sizeOf: ({ digest }) => upstream.blobs.head(repository, digest),
    async referrers(subject) {
      const manifests = await upstream.referrers(repository, subject)
      const tags: string[] = []
      for (const kind of COSIGN) {
        const tag = `${algorithmOf(subject)}-${hexOf(subject)}.${kind}`
        if (tag.length <= 128 && (await upstream.head(repository, tag)) !== undefined) tags.push(tag)
      }
      return { manifests, tags }
    },
  }
}
