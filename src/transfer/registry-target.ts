import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { parseManifest, referrersTag } from '../oci/manifest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { formatRepository, type RepositoryReference } from '../upstream/reference.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { ImageTarget } from './transfer.ts'
import { readManifest } from './tree.ts'

/** `mountFrom`: a repository of the same registry, which the source is. */
export function registryTarget(
  upstream: Upstream,
  repository: RepositoryReference,
  mountFrom?: string | undefined,
): ImageTarget {
  const name = formatRepository(repository)
  let listsReferrers: Promise<boolean> | undefined

  /** OCI Distribution Specification 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema". */
  async function listReferrer(subject: Digest, manifest: FetchedManifest): Promise<void> {
    listsReferrers ??= upstream.listsReferrers(repository, subject)
    if (await listsReferrers) return
    const tag = referrersTag(subject)
    const { artifactType, annotations } = parseManifest(manifest.bytes, manifest.mediaType)
    const own: Descriptor = {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.byteLength,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    }
    const found = await upstream.head(repository, tag)
    const before = found === undefined ? undefined : await upstream.manifest(repository, tag)
    const listed = before === undefined ? [] : readManifest(`${name}:${tag}`, before).manifests
    if (listed.some(({ digest }) => digest === manifest.digest)) return
    const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [...listed, own] }
    const bytes = new TextEncoder().encode(JSON.stringify(index))
    await upstream.putManifest(repository, tag, { mediaType: MEDIA_TYPES.ociIndex, bytes })
  }

  return {
    name,
    mayMount: mountFrom !== undefined && mountFrom !== repository.repository,
    hasManifest: async (digest) => (await upstream.head(repository, digest)) !== undefined,
    taggedBy: async (tag) => (await upstream.head(repository, tag))?.digest,
    hasBlob: async ({ digest }) => (await upstream.blobs.head(repository, digest)) !== undefined,

    async take(blob, source, onProgress) {
      const { digest, size } = blob
      if (this.mayMount && mountFrom !== undefined && (await upstream.blobs.mount(repository, digest, mountFrom))) {
        return 'mounted'
      }
      await upstream.blobs.put(repository, { digest, size, open: (start) => source.open(blob, start), onProgress })
      return 'copied'
    },

    async putManifest(reference, manifest) {
      // A registry names what it stores by SHA-256 unless it is told.
      const isNamed = isDigest(reference) || digestOf(manifest.bytes) === manifest.digest
      if (!isNamed) await upstream.putManifest(repository, manifest.digest, manifest)
      await upstream.putManifest(repository, reference, manifest)
      const { subject } = readManifest(`${name}@${manifest.digest}`, manifest)
      if (subject !== undefined) await listReferrer(subject.digest, manifest)
    },
  }
}
