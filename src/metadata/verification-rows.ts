import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Handle, Tables } from './database.ts'
import type { RowCheck, RowCursor, RowFault, RowPortion } from './metadata.ts'

/**
 * What `RowFault` names, as queries. Each looks at the rows of one table within a span of its key, so that none takes long however
 * many rows there are, and each is one statement: it sees whole transactions alone.
 */

/** Rows after a key up to another one, or the rows of one key. */
export type Span = { after: RowCursor; to: RowCursor } | { only: RowCursor }

/** The next portion of a check. */
export async function lookAtRows(
  read: Handle,
  check: RowCheck,
  after: RowCursor | undefined,
  limit: number,
): Promise<RowPortion> {
  const { start, keys, faults } = CHECKS[check]
  const from = after ?? start
  const found = await keys(read, from, limit)
  const to = found.at(-1)
  if (to === undefined) return { faults: [], rows: 0, next: undefined }
  const span = { after: from, to }
  const portions: RowFault[] = []
  for (const kind of faults) portions.push(...(await FAULTS[kind](read, span)))
  return { faults: portions, rows: found.length, next: found.length < limit ? undefined : to }
}

/** Whether the row of that key has that fault. */
export async function hasFault(read: Handle, kind: RowFault['kind'], key: RowCursor): Promise<boolean> {
  return (await FAULTS[kind](read, { only: key })).length > 0
}

interface Check {
  start: RowCursor
  /** The next keys, in their order. */
  keys: (read: Handle, after: RowCursor, limit: number) => Promise<RowCursor[]>
  faults: readonly RowFault['kind'][]
}

const CHECKS: Record<RowCheck, Check> = {
  links: {
    start: [0, ''],
    keys: (read, after, limit) => pairs(read, 'repository_blobs', 'repository_id', 'digest', after, limit),
    faults: ['link-without-blob', 'link-unreviewed'],
  },
  holds: {
    start: [0, ''],
    keys: (read, after, limit) => pairs(read, 'manifest_blobs', 'manifest_id', 'digest', after, limit),
    faults: ['link-missing'],
  },
  references: {
    start: [0, ''],
    keys: (read, after, limit) => pairs(read, 'manifest_references', 'manifest_id', 'digest', after, limit),
    faults: ['hold-missing'],
  },
  tags: {
    start: [0, ''],
    keys: (read, after, limit) => pairs(read, 'tags', 'repository_id', 'name', after, limit),
    faults: ['tag-without-manifest'],
  },
  manifests: {
    start: [0],
    keys: (read, after, limit) => singles(read, 'manifests', 'id', after, limit),
    faults: ['manifest-unreviewed'],
  },
  blobs: {
    start: [''],
    keys: (read, after, limit) => singles(read, 'blobs', 'digest', after, limit),
    faults: ['blob-unheld', 'blob-undiscarded', 'blob-discarded'],
  },
  repositories: {
    start: [0],
    keys: (read, after, limit) => singles(read, 'repositories', 'id', after, limit),
    faults: ['repository-listed'],
  },
  graves: {
    start: [0, ''],
    keys: (read, after, limit) => pairs(read, 'trash_references', 'trash_id', 'digest', after, limit),
    faults: ['grave-without-blob'],
  },
}

async function pairs(
  read: Handle,
  table: keyof Tables,
  first: string,
  second: string,
  after: RowCursor,
  limit: number,
): Promise<RowCursor[]> {
  const rows = await read
    .selectFrom(table)
    .select([sql.ref<string | number>(first).as('first'), sql.ref<string | number>(second).as('second')])
    .where(within([first, second], { after }))
    .orderBy(sql.ref(first))
    .orderBy(sql.ref(second))
    .limit(limit)
    .execute()
  return rows.map((row) => [row.first, row.second])
}

async function singles(
  read: Handle,
  table: keyof Tables,
  column: string,
  after: RowCursor,
  limit: number,
): Promise<RowCursor[]> {
  const rows = await read
    .selectFrom(table)
    .select(sql.ref<string | number>(column).as('only'))
    .where(within([column], { after }))
    .orderBy(sql.ref(column))
    .limit(limit)
    .execute()
  return rows.map(({ only }) => [only])
}

function within(columns: readonly string[], span: Span | { after: RowCursor }): RawBuilder<SqlBool> {
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const values = (key: RowCursor) => sql.join(key.map((part) => sql.val(part)))
  if ('only' in span) return sql<SqlBool>`(${names}) = (${values(span.only)})`
  const isAfter = sql<SqlBool>`(${names}) > (${values(span.after)})`
  return 'to' in span ? sql<SqlBool>`${isAfter} and (${names}) <= (${values(span.to)})` : isAfter
}

type Faults = (read: Handle, span: Span) => Promise<RowFault[]>

const FAULTS: Record<RowFault['kind'], Faults> = {
  async 'link-without-blob'(read, span) {
    const rows = await linksIn(read, span)
      .leftJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
      .where('blobs.digest', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'link-without-blob', ...row }))
  },

  async 'link-unreviewed'(read, span) {
    const rows = await linksIn(read, span)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifest_blobs')
              .select('manifest_blobs.manifest_id')
              .whereRef('manifest_blobs.repository_id', '=', 'repository_blobs.repository_id')
              .whereRef('manifest_blobs.digest', '=', 'repository_blobs.digest'),
          ),
        ),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('link_reviews')
              .select('link_reviews.since')
              .whereRef('link_reviews.repository_id', '=', 'repository_blobs.repository_id')
              .whereRef('link_reviews.digest', '=', 'repository_blobs.digest'),
          ),
        ),
      )
      .execute()
    return rows.map((row) => ({ kind: 'link-unreviewed', ...row }))
  },

  async 'link-missing'(read, span) {
    const rows = await read
      .selectFrom('manifest_blobs')
      .innerJoin('manifests', 'manifests.id', 'manifest_blobs.manifest_id')
      .innerJoin('repositories', 'repositories.id', 'manifest_blobs.repository_id')
      .leftJoin('repository_blobs', (join) =>
        join
          .onRef('repository_blobs.repository_id', '=', 'manifest_blobs.repository_id')
          .onRef('repository_blobs.digest', '=', 'manifest_blobs.digest'),
      )
      .select(['repositories.name as repository', 'manifests.digest as manifest', 'manifest_blobs.digest'])
      .where(within(['manifest_blobs.manifest_id', 'manifest_blobs.digest'], span))
      .where('repository_blobs.digest', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'link-missing', ...row }))
  },

  async 'hold-missing'(read, span) {
    const rows = await read
      .selectFrom('manifest_references')
      .innerJoin('manifests', 'manifests.id', 'manifest_references.manifest_id')
      .innerJoin('repositories', 'repositories.id', 'manifest_references.repository_id')
      .innerJoin('repository_blobs', (join) =>
        join
          .onRef('repository_blobs.repository_id', '=', 'manifest_references.repository_id')
          .onRef('repository_blobs.digest', '=', 'manifest_references.digest'),
      )
      .leftJoin('manifest_blobs', (join) =>
        join
          .onRef('manifest_blobs.manifest_id', '=', 'manifest_references.manifest_id')
          .onRef('manifest_blobs.digest', '=', 'manifest_references.digest'),
      )
      .select(['repositories.name as repository', 'manifests.digest as manifest', 'manifest_references.digest'])
      .where(within(['manifest_references.manifest_id', 'manifest_references.digest'], span))
      .where('manifest_references.kind', '=', 'blob')
      .where('manifest_blobs.digest', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'hold-missing', ...row }))
  },

  async 'tag-without-manifest'(read, span) {
    const rows = await read
      .selectFrom('tags')
      .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
      .leftJoin('manifests', (join) =>
        join.onRef('manifests.id', '=', 'tags.manifest_id').onRef('manifests.repository_id', '=', 'tags.repository_id'),
      )
      .select(['repositories.name as repository', 'tags.name as tag'])
      .where(within(['tags.repository_id', 'tags.name'], span))
      .where('manifests.id', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'tag-without-manifest', ...row }))
  },

  async 'manifest-unreviewed'(read, span) {
    const rows = await read
      .selectFrom('manifests')
      .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
      .leftJoin('manifest_reviews', 'manifest_reviews.manifest_id', 'manifests.id')
      .leftJoin('tags', 'tags.manifest_id', 'manifests.id')
      .select(['repositories.name as repository', 'manifests.digest'])
      .where(within(['manifests.id'], span))
      .where('manifest_reviews.manifest_id', 'is', null)
      .where('tags.name', 'is', null)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifest_references as parent')
              .select('parent.manifest_id')
              .whereRef('parent.digest', '=', 'manifests.digest')
              .whereRef('parent.repository_id', '=', 'manifests.repository_id')
              .where('parent.kind', '=', 'manifest')
              .whereRef('parent.manifest_id', '!=', 'manifests.id'),
          ),
        ),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifests as subject')
              .select('subject.id')
              .whereRef('subject.repository_id', '=', 'manifests.repository_id')
              .whereRef('subject.digest', '=', 'manifests.subject_digest')
              .whereRef('subject.id', '!=', 'manifests.id'),
          ),
        ),
      )
      .execute()
    return rows.map((row) => ({ kind: 'manifest-unreviewed', ...row }))
  },

  async 'blob-unheld'(read, span) {
    const rows = await read
      .selectFrom('blobs')
      .select('blobs.digest')
      .where(within(['blobs.digest'], span))
      .where('state', '!=', 'deleting')
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('repository_blobs').select('digest').whereRef('repository_blobs.digest', '=', 'blobs.digest'),
          ),
        ),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('trash_references')
              .select('held_digest')
              .whereRef('trash_references.held_digest', '=', 'blobs.digest'),
          ),
        ),
      )
      // A manifest that names it has lost the link to it, which is another fault.
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifest_references')
              .select('manifest_references.manifest_id')
              .whereRef('manifest_references.digest', '=', 'blobs.digest')
              .where('manifest_references.kind', '=', 'blob'),
          ),
        ),
      )
      .execute()
    return rows.map((row) => ({ kind: 'blob-unheld', ...row }))
  },

  async 'blob-undiscarded'(read, span) {
    const rows = await discardsIn(read, span)
      .where('state', '=', 'deleting')
      .where('discarded_objects.storage_key', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'blob-undiscarded', ...row }))
  },

  async 'blob-discarded'(read, span) {
    const rows = await discardsIn(read, span)
      .where('state', '!=', 'deleting')
      .where('discarded_objects.storage_key', 'is not', null)
      .execute()
    return rows.map((row) => ({ kind: 'blob-discarded', ...row }))
  },

  async 'repository-listed'(read, span) {
    const rows = await read
      .selectFrom('repositories')
      .select(['name as repository', 'listed'])
      .where(within(['repositories.id'], span))
      .where(({ eb, or, and, not, exists, selectFrom }) => {
        const hasManifest = exists(
          selectFrom('manifests').select('manifests.id').whereRef('manifests.repository_id', '=', 'repositories.id'),
        )
        return or([and([eb('listed', '=', 0), hasManifest]), and([eb('listed', '!=', 0), not(hasManifest)])])
      })
      .execute()
    return rows.map(({ repository, listed }) => ({ kind: 'repository-listed', repository, listed: listed !== 0 }))
  },

  async 'grave-without-blob'(read, span) {
    const rows = await read
      .selectFrom('trash_references')
      .innerJoin('trash', 'trash.id', 'trash_references.trash_id')
      .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
      .leftJoin('blobs', 'blobs.digest', 'trash_references.held_digest')
      .select(['repositories.name as repository', 'trash.digest as manifest', 'trash_references.digest'])
      .where(within(['trash_references.trash_id', 'trash_references.digest'], span))
      .where('trash_references.held_digest', 'is not', null)
      .where('blobs.digest', 'is', null)
      .execute()
    return rows.map((row) => ({ kind: 'grave-without-blob', ...row }))
  },
}

function linksIn(read: Handle, span: Span) {
  return read
    .selectFrom('repository_blobs')
    .innerJoin('repositories', 'repositories.id', 'repository_blobs.repository_id')
    .select(['repositories.name as repository', 'repository_blobs.digest'])
    .where(within(['repository_blobs.repository_id', 'repository_blobs.digest'], span))
}

function discardsIn(read: Handle, span: Span) {
  return read
    .selectFrom('blobs')
    .leftJoin('discarded_objects', 'discarded_objects.storage_key', 'blobs.storage_key')
    .select(['blobs.digest', 'blobs.storage_key as key'])
    .where(within(['blobs.digest'], span))
}
