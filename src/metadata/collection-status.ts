import type { ExpressionBuilder } from 'kysely'
import type { Handle, Tables } from './database.ts'
import type { CollectedKind, CollectionStatus, Tally } from './metadata.ts'

/** What the collector has before it, and has done. Costs as much as the queues are long, not the registry. */
export async function status(read: Handle): Promise<CollectionStatus> {
  const links = await countOf(read, 'link_reviews')
  const manifests = await countOf(read, 'manifest_reviews')
  const garbage = await read
    .selectFrom('blobs')
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size').as('bytes')])
    .where('state', '=', 'live')
    .where('digest', 'in', (from) => from.selectFrom('link_reviews').select('link_reviews.digest'))
    .where((where) => where.not(isNeeded(where)))
    .where((where) => where.not(isInTrash(where)))
    .executeTakeFirst()
  const trash = await read
    .selectFrom('trash')
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('size').as('bytes'), fn.min('deleted_at').as('oldest')])
    .executeTakeFirst()
  const heldByTrash = await read
    .selectFrom('blobs')
    .select(({ fn }) => fn.sum('size').as('bytes'))
    .where('digest', 'in', (from) =>
      from.selectFrom('trash_references').select('held_digest').where('held_digest', 'is not', null),
    )
    .where((where) => where.not(isNeeded(where)))
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
        .where('attempts', '>', 0)
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
    collected[kind] = { count, bytes }
  }
  return {
    links,
    manifests,
    garbage: tallyOf(garbage),
    trash: {
      count: Number(trash?.count ?? 0),
      bytes: Number(trash?.bytes ?? 0) + Number(heldByTrash?.bytes ?? 0),
      oldest: timeOf(trash?.oldest),
    },
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

function isNeeded({ exists, selectFrom }: ExpressionBuilder<Tables, 'blobs'>) {
  return exists(
    selectFrom('repository_blobs')
      .innerJoin('manifest_blobs', (join) =>
        join
          .onRef('manifest_blobs.repository_id', '=', 'repository_blobs.repository_id')
          .onRef('manifest_blobs.digest', '=', 'repository_blobs.digest'),
      )
      .select('manifest_blobs.manifest_id')
      .whereRef('repository_blobs.digest', '=', 'blobs.digest'),
  )
}

function isInTrash({ exists, selectFrom }: ExpressionBuilder<Tables, 'blobs'>) {
  return exists(
    selectFrom('trash_references')
      .select('trash_references.trash_id')
      .whereRef('trash_references.held_digest', '=', 'blobs.digest'),
  )
}

/** Sums come as text from a database whose sums are wider than 64 bits, and as null from an empty table. */
function tallyOf(row: { count: unknown; bytes: unknown } | undefined): Tally {
  return { count: Number(row?.count ?? 0), bytes: Number(row?.bytes ?? 0) }
}

function timeOf(time: unknown): number | undefined {
  return time === null || time === undefined ? undefined : Number(time)
}
