import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { isDiscarded, storedBlob } from './blobs.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import type { ManifestRows, Verification } from './metadata.ts'
import { countSize } from './quota-counts.ts'
import { uploadRow } from './uploads.ts'
import { affected } from './verification-affected.ts'
import { mend, mendManifest, rederive } from './verification-mend.ts'
import { lookAtRows } from './verification-rows.ts'

/** Bytes of manifests that one page reads. */
const PAGE_BYTES = 3 * 1024 * 1024

export function verification(database: Database): Verification {
  const { read } = database
  const durably = <T>(body: (trx: Handle) => Promise<T>) => database.transaction(body, { durable: true })
  return {
    async blobs({ last = '', limit }) {
      const rows = await read
        .selectFrom('blobs')
        .select(['digest', 'size', 'storage_key', 'state'])
        .where('digest', '>', last as Digest)
        .orderBy('digest')
        .limit(limit)
        .execute()
      return rows.map(storedBlob)
    },

    async uploads({ last = '', limit }) {
      const rows = await read
        .selectFrom('uploads')
        .selectAll()
        .where('id', '>', last)
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(uploadRow)
    },

    rows: (check, after, limit) => lookAtRows(read, check, after, limit),
    manifests: (after, limit) => manifestsAfter(read, after, limit),
    mend: (fault, now) => durably((trx) => mend(trx, fault, now)),
    rederive: (repository, digest, facts, now) =>
      durably((trx) => rederive(trx, repository, digest, { ...facts, now })),
    mendManifest: (repository, digest, now) => durably((trx) => mendManifest(trx, repository, digest, now)),

    damage({ digest, key, reason, now }) {
      return durably(async (trx) => {
        const marked = await trx
          .updateTable('blobs')
          .set({ state: 'damaged' })
          .where('digest', '=', digest)
          .where('storage_key', '=', key)
          .where('state', '=', 'live')
          .executeTakeFirst()
        if (marked.numUpdatedRows === 0n) return false
        await trx.insertInto('damaged_blobs').values({ digest, reason, found_at: now }).execute()
        return true
      })
    },

    revive({ digest, key, size, now }) {
      return durably(async (trx) => {
        const row = await trx
          .selectFrom('blobs')
          .select(['state', 'size'])
          .where('digest', '=', digest)
          .forNoKeyUpdate()
          .executeTakeFirst()
        if ((row !== undefined && row.state !== 'damaged') || (await isDiscarded(trx, key))) return false
        if (row === undefined) {
          await trx
            .insertInto('blobs')
            .values({ digest, size, storage_key: key, state: 'live', created_at: now })
            .execute()
          return true
        }
        if (size !== row.size) await countSize(trx, digest, size)
        await trx
          .updateTable('blobs')
          .set({ state: 'live', storage_key: key, size })
          .where('digest', '=', digest)
          .execute()
        await trx.deleteFrom('damaged_blobs').where('digest', '=', digest).execute()
        return true
      })
    },

    async damaged({ last = '', limit }) {
      const rows = await read
        .selectFrom('damaged_blobs')
        .innerJoin('blobs', 'blobs.digest', 'damaged_blobs.digest')
        .select(['blobs.digest', 'size', 'storage_key as key', 'reason', 'found_at as foundAt'])
        .where('damaged_blobs.digest', '>', last as Digest)
        .orderBy('damaged_blobs.digest')
        .limit(limit)
        .execute()
      return rows
    },

    async countDamaged() {
      const row = await read.selectFrom('damaged_blobs').select(sql<number>`count(*)`.as('count')).executeTakeFirst()
      return Number(row?.count ?? 0)
    },

    affected: (digest, limit) => affected(read, digest, limit),

    async scrub() {
      const row = await read.selectFrom('scrub').selectAll().where('id', '=', 1).executeTakeFirst()
      return (
        row && {
          ...{ startedAt: row.started_at, last: row.last_digest ?? undefined, endedAt: row.ended_at ?? undefined },
          ...{ blobs: row.blobs, bytes: row.bytes, damaged: row.damaged },
        }
      )
    },

    setScrub({ startedAt, last, endedAt, blobs, bytes, damaged }) {
      const row = {
        ...{ started_at: startedAt, last_digest: last ?? null, ended_at: endedAt ?? null },
        ...{ blobs, bytes, damaged },
      }
      return database.transaction(
        async (trx) => {
          await trx
            .insertInto('scrub')
            .values({ id: 1, ...row })
            .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
            .execute()
        },
        { durable: false },
      )
    },
  }
}

async function manifestsAfter(read: Handle, after: number, limit: number): Promise<ManifestRows[]> {
  const found = await read
    .selectFrom('manifests')
    .select(['id', 'size'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()
  let bytes = 0
  const end = found.findIndex(({ size }, index) => {
    bytes += size
    return index > 0 && bytes > PAGE_BYTES
  })
  const ids = (end === -1 ? found : found.slice(0, end)).map(({ id }) => id)
  const rows = await inChunks(ids, (chunk) =>
    read
      .selectFrom('manifests')
      .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
      .select(['manifests.id', 'repositories.name as repository', 'manifests.digest', 'media_type', 'manifests.bytes'])
      .select(['subject_digest', 'artifact_type', 'annotations'])
      .where('manifests.id', 'in', chunk)
      .orderBy('manifests.id')
      .execute(),
  )
  const references = await inChunks(ids, (chunk) =>
    read
      .selectFrom('manifest_references as reference')
      .leftJoin('repository_blobs as link', (join) =>
        join
          .onRef('link.repository_id', '=', 'reference.repository_id')
          .onRef('link.digest', '=', 'reference.digest')
          .on('reference.kind', '=', 'blob'),
      )
      .leftJoin('manifests as child', (join) =>
        join
          .onRef('child.repository_id', '=', 'reference.repository_id')
          .onRef('child.digest', '=', 'reference.digest')
          .on('reference.kind', '=', 'manifest'),
      )
      .select([
        'reference.manifest_id',
        'reference.digest',
        'reference.kind',
        'link.digest as linked',
        'child.id as child',
      ])
      .where('reference.manifest_id', 'in', chunk)
      .execute(),
  )
  const byManifest = Map.groupBy(references, ({ manifest_id }) => manifest_id)
  return rows.map((row) => ({
    ...{ id: row.id, repository: row.repository, digest: row.digest, mediaType: row.media_type, bytes: row.bytes },
    ...{ subject: row.subject_digest ?? undefined, artifactType: row.artifact_type ?? undefined },
    annotations: readAnnotations(row.annotations),
    references: (byManifest.get(row.id) ?? []).map(({ digest, kind, linked, child }) => ({
      ...{ digest, kind, isThere: linked !== null || child !== null },
    })),
  }))
}

/** What cannot be read is none: the manifest itself then says otherwise. */
function readAnnotations(text: string | null): Record<string, string> | undefined {
  if (text === null) return undefined
  try {
    return JSON.parse(text) as Record<string, string>
  } catch {
    return undefined
  }
}
