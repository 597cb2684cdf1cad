import { sql } from 'kysely'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Database } from './database.ts'
import type { Referrers } from './metadata.ts'

/** Bytes of annotations that one page reads: whatever more a pusher stored must not come into memory at once. */
const PAGE_BYTES = 3 * 1024 * 1024

export function referrers(database: Database): Referrers {
  return {
    async list(repository, subject, artifactType, { last, limit }) {
      const { read } = database
      const known = await read.selectFrom('repositories').select('id').where('name', '=', repository).executeTakeFirst()
      if (known === undefined) return { descriptors: [], more: false }
      const found = await read
        .selectFrom('manifests')
        .select(['digest', sql<number>`coalesce(octet_length(annotations), 0)`.as('bytes')])
        .where('repository_id', '=', known.id)
        .where('subject_digest', '=', subject)
        // Not those whose bytes are damaged.
        .where('size', '>', 0)
        .$if(artifactType !== undefined, (query) => query.where('artifact_type', '=', artifactType ?? ''))
        .$if(last !== undefined, (query) => query.where('digest', '>', (last ?? '') as Digest))
        .orderBy('digest')
        .limit(limit)
        .execute()
      const digests = firstOf(found)
      if (digests.length === 0) return { descriptors: [], more: false }
      const rows = await read
        .selectFrom('manifests')
        .select(['media_type', 'digest', 'size', 'artifact_type', 'annotations'])
        .where('repository_id', '=', known.id)
        .where('digest', 'in', digests)
        .orderBy('digest')
        .execute()
      return { descriptors: rows.map(descriptor), more: digests.length < found.length || found.length === limit }
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

/** Digests of as many rows as fit, and at least one. */
function firstOf(rows: readonly { digest: Digest; bytes: number }[]): Digest[] {
  let bytes = 0
  const end = rows.findIndex((row, index) => {
    bytes += row.bytes
    return index > 0 && bytes > PAGE_BYTES
  })
  return (end === -1 ? rows : rows.slice(0, end)).map(({ digest }) => digest)
}
