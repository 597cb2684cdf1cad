import type { Digest } from '../../oci/digest.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, parseImage, type RepositoryReference } from '../../upstream/reference.ts'

export interface BlobReference extends RepositoryReference {
  digest: Digest
}

/** `REPOSITORY@DIGEST`. @throws UpstreamError `usage` */
export function parseBlob(text: string): BlobReference {
  const { registry, repository, tag, digest } = parseImage(text)
  if (digest === undefined || tag !== undefined) {
    throw new UpstreamError('usage', `${JSON.stringify(text)} is no blob: write REPOSITORY@DIGEST`, {
      hint: `berth layers ${text} shows the blobs of an image`,
    })
  }
  return { registry, repository, digest }
}

export function formatBlob(blob: BlobReference): string {
  return `${formatRepository(blob)}@${blob.digest}`
}

export function missingBlob(blob: BlobReference): UpstreamError {
  return new UpstreamError('not-found', `${formatBlob(blob)} is not there`)
}
