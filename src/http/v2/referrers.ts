import { parseDigest } from '../../oci/digest.ts'
import { MEDIA_TYPES } from '../../oci/media-type.ts'
import type { Referrers } from '../../registry/referrers.ts'
import type { Handler } from '../call.ts'
import { jsonResponse } from '../json.ts'

/** OCI Distribution Specification 1.1, "Listing Referrers" (end-12a, end-12b). */
export function createReferrersHandlers({ referrers }: { referrers: Referrers }): { list: Handler } {
  return {
    async list({ path, name, reference, query }) {
      const subject = parseDigest(reference)
      const artifactType = query.get('artifactType') || undefined
      const { descriptors, more } = await referrers.list(name, subject, artifactType, query.get('last') || undefined)
      const headers: Record<string, string> = { 'Content-Type': MEDIA_TYPES.ociIndex }
      if (artifactType !== undefined) headers['OCI-Filters-Applied'] = 'artifactType'
      const final = descriptors.at(-1)
      if (more && final !== undefined) {
        const next = new URLSearchParams({
          ...(artifactType === undefined ? {} : { artifactType }),
          last: final.digest,
        })
        headers.Link = `<${path}?${next}>; rel="next"`
      }
      const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: descriptors }
      return jsonResponse(JSON.stringify(index), headers)
    },
  }
}
