import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import type { CollectedKind, CollectionStatus, LinkPlace, Tally, UnneededPortion } from './metadata.ts'

/** See `Collection.status`. */
export async function status(read: Handle): Promise<CollectionStatus> {
  const links = await countOf(read, 'link_reviews')
  const manifests = await countOf(read, 'manifest_reviews')
  const trash = await read
    .selectFrom('trash')
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size').as('bytes'), fn.min('deleted_at').as('oldest')])
    .executeTakeFirst()
  const discarded = await read
    .selectFrom('discarded_objects')
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size').as('bytes')])
    .executeTakeFirst()
  const uploads = await read
    .selectFrom('uploads')
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size').as('bytes'), fn.min('updated_at').as('oldest')])
    .executeTakeFirst()
  const failing = await Promise.all(
    (['link_reviews', 'manifest_reviews', 'trash', 'discarded_objects'] as const).map((table) =>
      read
        .selectFrom(table)
        .select(({ fn }) => fn.countAll().as('count'))
        // As the indexes of these rows have it: a parameter would not find them.
        .where(({ eb, lit }) => eb('attempts', '>', lit(0)))
        .executeTakeFirst(),
    ),
  )
  const collected: Record<CollectedKind, Tally> = {
    blob: { count: 0, bytes: 0 },
    copy: { count: 0, bytes: 0 },
    manifest: { count: 0, bytes: 0 },
    upload: { count: 0, bytes: 0 },
  }
  for (const { kind, count, bytes } of await read.selectFrom('collected').selectAll().execute()) {
    if (kind !== 'portion') collected[kind] = { count, bytes }
  }
  return {
    links,
    manifests,
    trash: { ...tallyOf(trash), oldest: timeOf(trash?.oldest) },
    discarded: tallyOf(discarded),
    failing: failing.reduce((sum, row) => sum + Number(row?.count ?? 0), 0),
    uploads: { ...tallyOf(uploads), oldest: timeOf(uploads?.oldest) },
    collected,
  }
}

async function countOf(read: Handle, table: 'link_reviews' | 'manifest_reviews'): Promise<number> {
  const row = await read
    .selectFrom(table)
    .select(({ fn }) => fn.countAll().as('count'))
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

/**
 * See `Collection.garbage`. A link that waits is one that no manifest needs (`link_reviews` says so): a blob is garbage when
 * all of its links wait, and is counted with the one of the least repository. Everything that is asked of the links is in one
 * place of one index.
 */
export async function garbage(
  read: Handle,
  after: LinkPlace | undefined,
  limit: number,
): Promise<UnneededPortion<LinkPlace>> {
  const rows = await read
    .selectFrom('link_reviews as waiting')
    .select(['waiting.repository_id as repositoryId', 'waiting.digest'])
    .select(({ selectFrom }) =>
      selectFrom('blobs')
        .select('size')
        .whereRef('blobs.digest', '=', 'waiting.digest')
        .where('state', '=', 'live')
        .where(({ not, exists, selectFrom: from }) =>
          not(
            exists(
              from('repository_blobs as link')
                .leftJoin('link_reviews as review', (join) =>
                  join
                    .onRef('review.repository_id', '=', 'link.repository_id')
                    .onRef('review.digest', '=', 'link.digest'),
                )
                .select('link.digest')
                .whereRef('link.digest', '=', 'waiting.digest')
                .where(({ eb, ref, or }) =>
                  or([eb('review.digest', 'is', null), eb('link.repository_id', '<', ref('waiting.repository_id'))]),
                ),
            ),
          ),
        )
        .where(({ not, exists, selectFrom: from }) =>
          not(
            exists(
              from('trash_references as held').select('trash_id').whereRef('held.held_digest', '=', 'blobs.digest'),
            ),
          ),
        )
        .as('size'),
    )
    .$if(after !== undefined, (query) =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple('waiting.repository_id', 'waiting.digest'),
          '>',
          tuple(after?.repositoryId ?? 0, after?.digest ?? ('' as Digest)),
        ),
      ),
    )
    .orderBy('waiting.repository_id')
    .orderBy('waiting.digest')
    .limit(limit)
    .execute()
  return portionOf(rows, limit, ({ repositoryId, digest }) => ({ repositoryId, digest }))
}

/** See `Collection.heldByTrash`. */
export async function heldByTrash(
  read: Handle,
  after: Digest | undefined,
  limit: number,
): Promise<UnneededPortion<Digest>> {
  const rows = await read
    .selectFrom('trash_references as held')
    .distinct()
    .select('held.held_digest as digest')
    .select(({ selectFrom }) =>
      selectFrom('blobs')
        .select('size')
        .whereRef('blobs.digest', '=', 'held.held_digest')
        .where(({ not, exists, selectFrom: from }) =>
          not(
            exists(
              from('repository_blobs as link')
                .innerJoin('manifest_blobs as need', (join) =>
                  join.onRef('need.repository_id', '=', 'link.repository_id').onRef('need.digest', '=', 'link.digest'),
                )
                .select('need.manifest_id')
                .whereRef('link.digest', '=', 'blobs.digest'),
            ),
          ),
        )
        .as('size'),
    )
    .where('held.held_digest', 'is not', null)
    .$if(after !== undefined, (query) => query.where('held.held_digest', '>', after ?? ('' as Digest)))
    .orderBy('held.held_digest')
    .limit(limit)
    .execute()
  return portionOf(rows, limit, ({ digest }) => digest ?? undefined)
}

/** Rows without a size are of blobs that something needs, or that another row speaks for. */
function portionOf<Row extends { size: number | null }, Place>(
  rows: readonly Row[],
  limit: number,
  placeOf: (row: Row) => Place | undefined,
): UnneededPortion<Place> {
  const blobs: Tally = { count: 0, bytes: 0 }
  for (const { size } of rows) {
    if (size === null) continue
    blobs.count++
    blobs.bytes += size
  }
  const last = rows.at(-1)
  return { blobs, next: rows.length < limit || last === undefined ? undefined : placeOf(last) }
}

/** Sums come as text from a database whose sums are wider than 64 bits, and as null from an empty table. */
function tallyOf(row: { count: unknown; bytes: unknown } | undefined): Tally {
  return { count: Number(row?.count ?? 0), bytes: Number(row?.bytes ?? 0) }
}

function timeOf(time: unknown): number | undefined {
  return time === null || time === undefined ? undefined : Number(time)
}
