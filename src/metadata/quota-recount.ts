import { sql } from 'kysely'
import type { Handle } from './database.ts'
import type { Quotas } from './metadata.ts'
import { COUNTED } from './quota-over.ts'

/** See `Quotas.recount`: one statement, hence one moment. */
export async function recount(read: Handle, id: number): ReturnType<Quotas['recount']> {
  const below = read.selectFrom('quota_repositories').select('repository_id').where('quota_id', '=', id)
  const row = await read
    .selectFrom('quotas')
    .select(({ selectFrom }) => [
      ...(['bytes', 'tags', 'repositories'] as const),
      selectFrom('quota_repositories as below')
        .innerJoin('repository_blobs as link', 'link.repository_id', 'below.repository_id')
        .innerJoin('blobs', 'blobs.digest', 'link.digest')
        .select(sql<number>`coalesce(sum(blobs.size), 0)`.as('sum'))
        .where('below.quota_id', '=', id)
        .where(({ exists, selectFrom: from }) =>
          exists(
            from('manifest_blobs as need')
              .select('need.digest')
              .whereRef('need.repository_id', '=', 'link.repository_id')
              .whereRef('need.digest', '=', 'link.digest'),
          ),
        )
        // Each is counted where it is first: to remember all of them would take memory as the registry grows.
        .where(({ not, exists, selectFrom: from }) =>
          not(
            exists(
              from('repository_blobs as earlier')
                .innerJoin('quota_repositories as also', 'also.repository_id', 'earlier.repository_id')
                .select('earlier.digest')
                .where('also.quota_id', '=', id)
                .whereRef('earlier.digest', '=', 'link.digest')
                .whereRef('earlier.repository_id', '<', 'link.repository_id')
                .where((inner) =>
                  inner.exists(
                    inner
                      .selectFrom('manifest_blobs as need')
                      .select('need.digest')
                      .whereRef('need.repository_id', '=', 'earlier.repository_id')
                      .whereRef('need.digest', '=', 'earlier.digest'),
                  ),
                ),
            ),
          ),
        )
        .as('blob_bytes'),
      selectFrom('manifests')
        .select(sql<number>`coalesce(sum(size), 0)`.as('sum'))
        .where('repository_id', 'in', below)
        .as('manifest_bytes'),
      selectFrom('tags').select(sql<number>`count(*)`.as('count')).where('repository_id', 'in', below).as('all_tags'),
      selectFrom('repositories')
        .select(sql<number>`count(*)`.as('count'))
        .where('id', 'in', below)
        .where('listed', '=', 1)
        .as('all_repositories'),
    ])
    .where('id', '=', id)
    .where('state', '!=', 'removed')
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('quota_repositories')
            .select('repository_id')
            .whereRef('quota_id', '=', 'quotas.id')
            .where('step', '<', COUNTED.manifests),
        ),
      ),
    )
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { bytes, tags, repositories } = row
  return {
    stored: { bytes, tags, repositories },
    counted: {
      bytes: Number(row.blob_bytes) + Number(row.manifest_bytes),
      tags: Number(row.all_tags),
      repositories: Number(row.all_repositories),
    },
  }
}
