import type { Database } from './database.ts'
import type { Cause, Collection, Due } from './metadata.ts'
import { codeOf } from './reviews.ts'
import { isSpare } from './trash-holds.ts'

/** Which candidates there are, and how one is put off. What is found here is looked at again under its lock. */
export function candidates(
  database: Database,
): Pick<Collection, 'links' | 'manifests' | 'trash' | 'objects' | 'buried' | 'postpone'> {
  const { read } = database
  return {
    async links(due, limit) {
      const waiting = read
        .selectFrom('link_reviews')
        .innerJoin('repositories', 'repositories.id', 'link_reviews.repository_id')
        .select(['repository_id', 'digest', 'attempts', 'since', 'repositories.name'])
        .where('not_before', '<=', due.now)
        .orderBy('since')
        .limit(limit)
      const rows = await oldest(due, limit, (since, cause) =>
        cause === undefined
          ? waiting.where('since', '<=', since).execute()
          : waiting.where('freed', '=', codeOf(cause)).where('since', '>', since).execute(),
      )
      return rows.map(({ repository_id: repositoryId, name: repository, digest, attempts }) => ({
        kind: 'link',
        ...{ repositoryId, repository, digest, attempts },
      }))
    },

    async manifests(due, limit) {
      const waiting = read
        .selectFrom('manifest_reviews')
        .innerJoin('manifests', 'manifests.id', 'manifest_reviews.manifest_id')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select(['manifests.id', 'repository_id', 'digest', 'size', 'attempts', 'since', 'repositories.name'])
        .where('not_before', '<=', due.now)
        .orderBy('since')
        .limit(limit)
      const rows = await oldest(due, limit, (since, cause) =>
        cause === undefined
          ? waiting.where('since', '<=', since).execute()
          : waiting.where('freed', '=', codeOf(cause)).where('since', '>', since).execute(),
      )
      return rows.map(({ id, repository_id: repositoryId, name: repository, digest, size, attempts }) => ({
        kind: 'manifest',
        ...{ id, repositoryId, repository, digest, size, attempts },
      }))
    },

    async trash(before, now, limit) {
      const rows = await read
        .selectFrom('trash')
        .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
        .select(['trash.id', 'repositories.name as repository', 'digest', 'size', 'attempts'])
        .where('deleted_at', '<=', before)
        .where('not_before', '<=', now)
        .where(isSpare)
        .orderBy('deleted_at')
        .orderBy('trash.id')
        .limit(limit)
        .execute()
      return rows.map((row) => ({ kind: 'trash', ...row }))
    },

    async objects(now, limit) {
      const rows = await read
        .selectFrom('discarded_objects')
        .select(['storage_key as key', 'digest', 'size', 'attempts'])
        .where('due_at', '<=', now)
        .orderBy('due_at')
        .limit(limit)
        .execute()
      return rows.map((row) => ({ kind: 'object', ...row }))
    },

    async buried(id) {
      const row = await read
        .selectFrom('trash')
        .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
        .select([
          'trash.id',
          'repository_id as repositoryId',
          'repositories.name as repository',
          'digest',
          'size',
          'attempts',
        ])
        .where('trash.id', '=', id)
        .executeTakeFirst()
      if (row === undefined) return undefined
      const { repositoryId, ...trash } = row
      const links = await read
        .selectFrom('trash_references')
        .innerJoin('link_reviews', 'link_reviews.digest', 'trash_references.held_digest')
        .select(['link_reviews.digest', 'link_reviews.attempts'])
        .where('trash_id', '=', id)
        .where('link_reviews.repository_id', '=', repositoryId)
        .execute()
      return {
        trash: { kind: 'trash', ...trash },
        links: links.map((link) => ({ kind: 'link', repositoryId, repository: row.repository, ...link })),
      }
    },

    postpone(candidate, notBefore) {
      return database.transaction(
        async (trx) => {
          const attempts = candidate.attempts + 1
          const later = { attempts, not_before: notBefore }
          if (candidate.kind === 'link') {
            await trx
              .updateTable('link_reviews')
              .set(later)
              .where('repository_id', '=', candidate.repositoryId)
              .where('digest', '=', candidate.digest)
              .execute()
          } else if (candidate.kind === 'manifest') {
            await trx
              .updateTable('manifest_reviews')
              .set(later)
              // Another one may have been given the id since.
              .where('manifest_id', 'in', (from) =>
                from
                  .selectFrom('manifests')
                  .select('manifests.id')
                  .where('manifests.id', '=', candidate.id)
                  .where('manifests.repository_id', '=', candidate.repositoryId)
                  .where('manifests.digest', '=', candidate.digest),
              )
              .execute()
          } else if (candidate.kind === 'trash') {
            await trx.updateTable('trash').set(later).where('id', '=', candidate.id).execute()
          } else {
            await trx
              .updateTable('discarded_objects')
              .set({ attempts, due_at: notBefore })
              .where('storage_key', '=', candidate.key)
              .execute()
          }
        },
        { durable: false },
      )
    },
  }
}

/**
 * Of a queue, the oldest that are due: by their age, or (`cause`) younger ones whose cause is in a hurry. Each is a query of its
 * own, for an index leads to either, and to their union none.
 */
async function oldest<Row extends { since: number }>(
  { before, causes }: Due,
  limit: number,
  find: (since: number, cause: Cause | undefined) => Promise<Row[]>,
): Promise<Row[]> {
  const rows = await find(before, undefined)
  for (const cause of causes) rows.push(...(await find(before, cause)))
  return rows.sort((one, other) => one.since - other.since).slice(0, limit)
}
