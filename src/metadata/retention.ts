import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { indexEdges } from './index-edges.ts'
import type { ImageExpiry, ManifestPlace, NeededBlob, Retention } from './metadata.ts'
import { retentionRules } from './retention-rules.ts'
import { retentionRuns } from './retention-runs.ts'
import { take } from './retention-take.ts'

export function retention(database: Database): Retention {
  const { read } = database

  async function idOf(repository: string): Promise<number | undefined> {
    const row = await read.selectFrom('repositories').select('id').where('name', '=', repository).executeTakeFirst()
    return row?.id
  }

  return {
    ...retentionRules(database),
    ...retentionRuns(database),

    async tags(repository, { last, limit }) {
      const id = await idOf(repository)
      if (id === undefined) return []
      const rows = await read
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .leftJoin('image_expiries', 'image_expiries.manifest_id', 'tags.manifest_id')
        .select(['tags.name', 'tags.manifest_id', 'manifests.digest', 'tags.updated_at', ...EXPIRY])
        .where('tags.repository_id', '=', id)
        .$if(last !== undefined, (query) => query.where('tags.name', '>', last ?? ''))
        .orderBy('tags.name')
        .limit(limit)
        .execute()
      return rows.map((row) => ({
        ...{ name: row.name, manifestId: row.manifest_id, digest: row.digest, pushedAt: row.updated_at },
        expiry: expiryOf(row),
      }))
    },

    async untagged(repository, { last, limit }) {
      const id = await idOf(repository)
      if (id === undefined) return { manifests: [], next: undefined }
      const looked = await read
        .selectFrom('manifests')
        .select(['id', 'digest'])
        .where('repository_id', '=', id)
        .$if(last !== undefined, (query) => query.where('digest', '>', (last ?? '') as Digest))
        .orderBy('digest')
        .limit(limit)
        .execute()
      const manifests = await inChunks(
        looked.map((row) => row.id),
        (ids) => untaggedOf(read, id, ids).orderBy('manifests.digest').execute(),
      )
      return {
        manifests: manifests.map((row) => ({
          ...{ manifestId: row.id, digest: row.digest, pushedAt: row.since },
          expiry: expiryOf(row),
        })),
        next: looked.length < limit ? undefined : looked.at(-1)?.digest,
      }
    },

    examined(rows) {
      return database.transaction(
        async (trx) => {
          const found = await inChunks(rows, (chunk) =>
            trx
              .selectFrom('manifests')
              .select(['id', 'digest'])
              .where(
                'id',
                'in',
                chunk.map(({ manifestId }) => manifestId),
              )
              .orderBy('id')
              .forKeyShare()
              .execute(),
          )
          // Another one may have been given the id since.
          const living = new Map(found.map(({ id, digest }) => [id, digest]))
          const known = rows.filter(({ manifestId, digest }) => living.get(manifestId) === digest)
          await inChunks(known, (chunk) =>
            trx
              .insertInto('image_expiries')
              .values(
                chunk.map(({ manifestId, asked, after, at }) => ({
                  ...{ manifest_id: manifestId, asked, after: after ?? null, at: at ?? null },
                })),
              )
              .onConflict((conflict) =>
                conflict.column('manifest_id').doUpdateSet(({ ref }) => ({
                  ...{ asked: ref('excluded.asked'), after: ref('excluded.after'), at: ref('excluded.at') },
                })),
              )
              .execute(),
          )
        },
        { durable: false },
      )
    },

    places: (manifestIds) => inChunks(manifestIds, (ids) => placesOf(read, ids)),

    async needed(manifestIds) {
      const rows = await inChunks(manifestIds, (ids) =>
        read
          .selectFrom('manifest_blobs')
          .innerJoin('blobs', 'blobs.digest', 'manifest_blobs.digest')
          .select(['manifest_blobs.digest', 'blobs.size', sql<number>`count(*)`.as('manifests')])
          .where('manifest_blobs.manifest_id', 'in', ids)
          .groupBy(['manifest_blobs.digest', 'blobs.size'])
          .execute(),
      )
      const blobs = new Map<Digest, NeededBlob>()
      for (const { digest, size, manifests } of rows) {
        const before = blobs.get(digest)?.manifests ?? 0
        blobs.set(digest, { digest, size, manifests: before + Number(manifests) })
      }
      return [...blobs.values()]
    },

    async holders(repository, digests) {
      const id = await idOf(repository)
      if (id === undefined) return []
      return await inChunks(digests, async (some) => {
        const needed = await read
          .selectFrom('manifest_blobs')
          .select(['digest', sql<number>`count(*)`.as('manifests')])
          .where('repository_id', '=', id)
          .where('digest', 'in', some)
          .groupBy('digest')
          .orderBy('digest')
          .execute()
        const others = await read
          .selectFrom('repository_blobs')
          .select('digest')
          .distinct()
          .where('digest', 'in', some)
          .where('repository_id', '!=', id)
          .execute()
        const elsewhere = new Set(others.map(({ digest }) => digest))
        return needed.map(({ digest, manifests }) => ({
          ...{ digest, manifests: Number(manifests), elsewhere: elsewhere.has(digest) },
        }))
      })
    },

    take: (repository, steps, change) =>
      database.transaction((trx) => take(trx, repository, steps, change), { durable: true }),
  }
}

const EXPIRY = ['image_expiries.asked', 'image_expiries.after', 'image_expiries.at'] as const

function expiryOf(row: { asked: string | null; after: number | null; at: number | null }): ImageExpiry | undefined {
  return row.asked === null ? undefined : { asked: row.asked, after: row.after ?? undefined, at: row.at ?? undefined }
}

/** Those of the manifests that only an operator's rule keeps: the collector's candidates, but for what it would find needed. */
function untaggedOf(read: Handle, repositoryId: number, ids: readonly number[]) {
  return read
    .selectFrom('manifests')
    .innerJoin('manifest_reviews', 'manifest_reviews.manifest_id', 'manifests.id')
    .leftJoin('image_expiries', 'image_expiries.manifest_id', 'manifests.id')
    .select(['manifests.id', 'manifests.digest', 'manifest_reviews.since', ...EXPIRY])
    .where('manifests.id', 'in', ids)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('tags').select('tags.name').whereRef('tags.manifest_id', '=', 'manifests.id'))),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('manifest_references')
            .select('manifest_references.manifest_id')
            .whereRef('manifest_references.digest', '=', 'manifests.digest')
            .whereRef('manifest_references.manifest_id', '!=', 'manifests.id')
            .where('manifest_references.repository_id', '=', repositoryId)
            .where('manifest_references.kind', '=', 'manifest'),
        ),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('manifests as subject')
            .select('subject.id')
            .where('subject.repository_id', '=', repositoryId)
            .whereRef('subject.digest', '=', 'manifests.subject_digest')
            .whereRef('subject.id', '!=', 'manifests.id'),
        ),
      ),
    )
}

/** Ids alone lead to the rows: beside them, a repository's would make SQLite walk all of its manifests. */
async function placesOf(read: Handle, ids: readonly number[]): Promise<ManifestPlace[]> {
  const rows = await read
    .selectFrom('manifests')
    .leftJoin('manifests as subject', (join) =>
      join
        .onRef('subject.repository_id', '=', 'manifests.repository_id')
        .onRef('subject.digest', '=', 'manifests.subject_digest')
        .onRef('subject.id', '!=', 'manifests.id'),
    )
    .select(['manifests.id', 'manifests.digest', 'manifests.size', 'subject.id as subject'])
    .select(({ exists, selectFrom }) =>
      exists(selectFrom('tags').select('tags.name').whereRef('tags.manifest_id', '=', 'manifests.id')).as('tagged'),
    )
    .where('manifests.id', 'in', ids)
    .orderBy('manifests.id')
    .execute()
  const found = rows.map((row) => row.id)
  const parents = await indexEdges(read, 'below', found)
  const children = await indexEdges(read, 'above', found)
  const referrers =
    found.length === 0
      ? []
      : await read
          .selectFrom('manifests as subject')
          .innerJoin('manifests', (join) =>
            join
              .onRef('manifests.repository_id', '=', 'subject.repository_id')
              .onRef('manifests.subject_digest', '=', 'subject.digest'),
          )
          .select(['subject.id as above', 'manifests.id as below'])
          .where('subject.id', 'in', found)
          .execute()
  const under = Map.groupBy([...children, ...referrers], ({ above }) => above)
  const over = Map.groupBy(parents, ({ below }) => below)
  return rows.map(({ id, digest, size, tagged, subject }) => ({
    ...{ id, digest, size, isTagged: Boolean(tagged), subject: subject ?? undefined },
    parents: (over.get(id) ?? []).map(({ above }) => above).filter((above) => above !== id),
    below: (under.get(id) ?? []).map(({ below }) => below).filter((below) => below !== id),
  }))
}
