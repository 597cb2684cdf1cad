import type { Database, Handle } from './database.ts'
import { surviveDeletion } from './deletion-survivors.ts'
import { type Exhumed, exhume } from './exhumation.ts'
import type { Change, Restored, Trash, TrashRow } from './metadata.ts'
import { restoreTagPulls } from './pulls.ts'
import { lockRepository } from './repositories.ts'
import { addTags } from './tag-history.ts'

/** Manifests of a batch that one transaction brings back. */
const PORTION = 50

export function trash(database: Database): Trash {
  return {
    async list({ repository }, { before, limit }) {
      const rows = await rowsOf(database.read)
        .$if(repository !== undefined, (query) => query.where('repositories.name', '=', repository ?? ''))
        .$if(before !== undefined, (query) => query.where('trash.id', '<', before ?? 0))
        .orderBy('trash.id', 'desc')
        .limit(limit)
        .execute()
      return rows.map(trashRow)
    },

    async find(repository, digest) {
      const row = await rowsOf(database.read)
        .where('repositories.name', '=', repository)
        .where('trash.digest', '=', digest)
        .orderBy('trash.id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && trashRow(row)
    },

    restore(repository, digest, change) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const exhumed = await exhume(trx, { repositoryId, digest, now: change.now })
          return exhumed && (await withTags(trx, repositoryId, exhumed, change))
        },
        { durable: true },
      )
    },

    restoreBatch(repository, batch, change) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const rows = await trx
            .selectFrom('trash')
            .select(['repository_id', 'digest'])
            .where('batch', '=', batch)
            .where('repository_id', '=', repositoryId)
            .orderBy('id')
            .limit(PORTION)
            .execute()
          if (rows.length === 0) return undefined
          const all: Restored = { digests: [], tags: [], taken: [] }
          for (const { digest } of rows) {
            // It may have come back already, as a child of another one.
            const exhumed = await exhume(trx, { repositoryId, digest, now: change.now })
            if (exhumed === undefined) continue
            const { digests, tags, taken } = await withTags(trx, repositoryId, exhumed, change)
            all.digests.push(...digests)
            all.tags.push(...tags)
            all.taken.push(...taken)
          }
          return all
        },
        { durable: true },
      )
    },
  }
}

async function withTags(
  trx: Handle,
  repositoryId: number,
  { digests, tagged }: Exhumed,
  change: Change,
): Promise<Restored> {
  const restored: Restored = { digests, tags: [], taken: [] }
  for (const { id, digest, tags, pulls } of tagged) {
    const added = await addTags(trx, tags, { repositoryId, manifestId: id, digest, ...change })
    const here = new Set(added)
    restored.tags.push(...added)
    restored.taken.push(...tags.filter((name) => !here.has(name)))
    await restoreTagPulls(trx, repositoryId, added, pulls)
  }
  await surviveDeletion(trx, repositoryId, { manifests: [], tags: restored.tags })
  return restored
}

function rowsOf(read: Handle) {
  return read
    .selectFrom('trash')
    .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
    .select([
      ...(['trash.id', 'repositories.name as repository', 'trash.digest', 'trash.media_type', 'trash.size'] as const),
      ...(['trash.tags', 'trash.reason', 'trash.batch', 'trash.actor', 'trash.deleted_at'] as const),
    ])
}

function trashRow(row: Awaited<ReturnType<ReturnType<typeof rowsOf>['execute']>>[number]): TrashRow {
  return {
    id: row.id,
    repository: row.repository,
    digest: row.digest,
    mediaType: row.media_type,
    size: row.size,
    tags: JSON.parse(row.tags) as string[],
    reason: row.reason,
    batch: row.batch ?? undefined,
    actor: row.actor,
    deletedAt: row.deleted_at,
  }
}
