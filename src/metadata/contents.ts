import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { linkedBlobs, storedBlob } from './blobs.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import type { ContentManifest, Contents } from './metadata.ts'

/** Bytes of manifests in one page: it goes through memory, and over a socket, as a whole. */
const PAGE_BYTES = 1024 * 1024

export function contents(database: Database): Contents {
  const { read } = database

  async function repositoryId(name: string): Promise<number | undefined> {
    const row = await read.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst()
    return row?.id
  }

  return {
    async repositories({ last, limit }) {
      const rows = await read
        .selectFrom('repositories')
        .select(['id', 'name'])
        .where(({ or, exists, selectFrom }) =>
          or([
            exists(selectFrom('manifests').select('id').whereRef('repository_id', '=', 'repositories.id')),
            exists(selectFrom('repository_blobs').select('digest').whereRef('repository_id', '=', 'repositories.id')),
          ]),
        )
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      const pages = []
      for (const { id, name } of rows) pages.push({ name, ...(await countsOf(read, id)) })
      return pages
    },

    async manifests(repository, { tag, digest, subject }, { last, limit }) {
      const id = await repositoryId(repository)
      if (id === undefined) return { manifests: [], more: false }
      const found = await read
        .selectFrom('manifests')
        .select(['digest', 'size'])
        .where('repository_id', '=', id)
        // Not those whose bytes are damaged.
        .where('size', '>', 0)
        .$if(tag !== undefined, (query) =>
          query.where('id', 'in', (from) =>
            from
              .selectFrom('tags')
              .select('manifest_id')
              .where('tags.repository_id', '=', id)
              .where('tags.name', '=', tag ?? ''),
          ),
        )
        .$if(digest !== undefined, (query) => query.where('digest', '=', digest ?? ('' as Digest)))
        .$if(subject !== undefined, (query) => query.where('subject_digest', '=', subject ?? ('' as Digest)))
        .$if(last !== undefined, (query) => query.where('digest', '>', (last ?? '') as Digest))
        .orderBy('digest')
        .limit(limit)
        .execute()
      const digests = firstOf(found)
      const manifests = await inChunks(digests, (chunk) => manifestsOf(read, id, chunk))
      return { manifests, more: digests.length < found.length || (limit > 0 && found.length === limit) }
    },

    async tags(repository, { last, limit }) {
      const id = await repositoryId(repository)
      if (id === undefined) return []
      const rows = await read
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .select(['tags.name', 'manifests.digest', 'tags.updated_at'])
        .where('tags.repository_id', '=', id)
        .$if(last !== undefined, (query) => query.where('tags.name', '>', last ?? ''))
        .orderBy('tags.name')
        .limit(limit)
        .execute()
      return rows.map(({ name, digest, updated_at: updatedAt }) => ({ name, digest, updatedAt }))
    },

    async moves(repository, { last = 0, limit }) {
      const rows = await read
        .selectFrom('repositories')
        .innerJoin('tag_history', 'tag_history.repository_id', 'repositories.id')
        .select(['tag_history.id', 'tag_history.name', 'tag_history.to_digest', 'tag_history.at'])
        .where('repositories.name', '=', repository)
        .where('tag_history.id', '>', last)
        .where('tag_history.to_digest', 'is not', null)
        .orderBy('tag_history.id')
        .limit(limit)
        .execute()
      return rows.flatMap(({ id, name, to_digest: digest, at }) =>
        digest === null ? [] : [{ id, tag: name, digest, at }],
      )
    },

    async blobs(repository, { digest }, { last, limit }) {
      const rows = await linkedBlobs(read, repository)
        .$if(digest !== undefined, (query) => query.where('repository_blobs.digest', '=', digest ?? ('' as Digest)))
        .$if(last !== undefined, (query) => query.where('repository_blobs.digest', '>', (last ?? '') as Digest))
        .orderBy('repository_blobs.digest')
        .limit(limit)
        .execute()
      return rows.map(storedBlob)
    },
  }
}

async function countsOf(read: Handle, id: number) {
  const counted = async (table: 'manifests' | 'tags') => {
    const row = await read
      .selectFrom(table)
      .select(sql<number>`count(*)`.as('count'))
      .where('repository_id', '=', id)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }
  const blobs = await read
    .selectFrom('repository_blobs')
    .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
    .select([sql<number>`count(*)`.as('count'), sql<number>`coalesce(sum(blobs.size), 0)`.as('bytes')])
    .where('repository_blobs.repository_id', '=', id)
    .where('blobs.state', '=', 'live')
    .executeTakeFirstOrThrow()
  return {
    manifests: await counted('manifests'),
    tags: await counted('tags'),
    blobs: Number(blobs.count),
    bytes: Number(blobs.bytes),
  }
}

async function manifestsOf(read: Handle, repositoryId: number, digests: readonly Digest[]): Promise<ContentManifest[]> {
  const rows = await read
    .selectFrom('manifests')
    .select(['id', 'digest', 'media_type', 'subject_digest', 'artifact_type', 'annotations', 'pushed_at', 'bytes'])
    .select(({ exists, selectFrom }) => [
      exists(selectFrom('tags').select('tags.name').whereRef('tags.manifest_id', '=', 'manifests.id')).as('tagged'),
      exists(
        selectFrom('manifest_references')
          .select('manifest_references.manifest_id')
          .where('manifest_references.repository_id', '=', repositoryId)
          .where('manifest_references.kind', '=', 'manifest')
          .whereRef('manifest_references.digest', '=', 'manifests.digest'),
      ).as('child'),
    ])
    .where('repository_id', '=', repositoryId)
    .where('digest', 'in', digests)
    .orderBy('digest')
    .execute()
  return rows.map((row) => ({
    digest: row.digest,
    mediaType: row.media_type,
    bytes: row.bytes,
    subject: row.subject_digest ?? undefined,
    artifactType: row.artifact_type ?? undefined,
    annotations: row.annotations === null ? undefined : (JSON.parse(row.annotations) as Record<string, string>),
    pushedAt: row.pushed_at,
    // SQLite answers 0 or 1, PostgreSQL a truth value.
    isTagged: Boolean(row.tagged),
    isChild: Boolean(row.child),
  }))
}

/** Digests of as many as fit into a page, and at least one. */
function firstOf(rows: readonly { digest: Digest; size: number }[]): Digest[] {
  let bytes = 0
  const end = rows.findIndex(({ size }, index) => {
    bytes += size
    return index > 0 && bytes > PAGE_BYTES
  })
  return (end === -1 ? rows : rows.slice(0, end)).map(({ digest }) => digest)
}
