import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Database } from './database.ts'
import type { Referrers } from './metadata.ts'

export function referrers(database: Database): Referrers {
  return {
    async list(repository, subject, artifactType, { last, limit }) {
      const { read } = database
      const known = await read.selectFrom('repositories').select('id').where('name', '=', repository).executeTakeFirst()
      if (known === undefined) return []
      const rows = await read
        .selectFrom('manifests')
        .select(['media_type', 'digest', 'size', 'artifact_type', 'annotations'])
        .where('repository_id', '=', known.id)
        .where('subject_digest', '=', subject)
        .$if(artifactType !== undefined, (query) => query.where('artifact_type', '=', artifactType ?? ''))
        .$if(last !== undefined, (query) => query.where('digest', '>', (last ?? '') as Digest))
        .orderBy('digest')
        .limit(limit)
        .execute()
      return rows.map(descriptor)
    },
  }
}

/** OCI Distribution Specification 1.1, "Listing Referrers": what an entry of the answer carries. */
function descriptor(row: {
  media_type: string
  digest: Digest
  size: number
  artifact_type: string | null
  annotations: string | null
}): Descriptor {
  return {
    mediaType: row.media_type,
    digest: row.digest,
    size: row.size,
    ...(row.artifact_type !== null && { artifactType: row.artifact_type }),
    ...(row.annotations !== null && { annotations: JSON.parse(row.annotations) as Record<string, string> }),
  }
}
