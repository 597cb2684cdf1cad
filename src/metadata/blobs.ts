import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { queueEvents } from './events.ts'
import { type Blobs, MetadataError, type StoredBlob } from './metadata.ts'
import { ensureRepository, lockRepository } from './repositories.ts'

export interface BlobRecord {
  digest: Digest
  size: number
  storage_key: string
  state: 'live' | 'deleting'
}

const COLUMNS = ['blobs.digest', 'blobs.size', 'blobs.storage_key', 'blobs.state'] as const

export function blobs(database: Database): Blobs {
  return {
    async find(repository, digest) {
      const row = await linkedBlob(database.read, repository, digest).executeTakeFirst()
      return row && storedBlob(row)
    },

    async locate(digest) {
      const row = await blobByDigest(database.read, digest).executeTakeFirst()
      return row && storedBlob(row)
    },

    commit(commit) {
      return database.transaction(
        async (trx) => {
          const key = await makeLive(trx, commit)
          if (key === undefined) return undefined
          await link(trx, commit.repository, commit.digest, commit.now)
          await trx.deleteFrom('uploads').where('id', '=', commit.upload).execute()
          await queueEvents(trx, commit.events)
          return key
        },
        { durable: true },
      )
    },

    mount({ digest, from, to, now, events }) {
      return database.transaction(
        async (trx) => {
          const blob = await trx
            .selectFrom('blobs')
            .select('digest')
            .where('digest', '=', digest)
            .where('state', '=', 'live')
            .forShare()
            .executeTakeFirst()
          if (blob === undefined || !(await linkedInAny(trx, digest, from))) return false
          await link(trx, to, digest, now)
          await queueEvents(trx, events)
          return true
        },
        { durable: true },
      )
    },

    unlink(repository, digest, events) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return 'unknown'
          const referrer = await trx
            .selectFrom('manifest_blobs')
            .innerJoin('manifests', 'manifests.id', 'manifest_blobs.manifest_id')
            .select('manifests.digest')
            .where('manifest_blobs.repository_id', '=', repositoryId)
            .where('manifest_blobs.digest', '=', digest)
            .limit(1)
            .executeTakeFirst()
          if (referrer !== undefined) return { referencedBy: referrer.digest }
          const unlinked = await trx
            .deleteFrom('repository_blobs')
            .where('repository_id', '=', repositoryId)
            .where('digest', '=', digest)
            .executeTakeFirst()
          if (unlinked.numDeletedRows === 0n) return 'unknown'
          await queueEvents(trx, events)
          return 'unlinked'
        },
        { durable: true },
      )
    },
  }
}

export function linkedBlob(read: Handle, repository: string, digest: Digest) {
  return linkedBlobs(read, repository).where('repository_blobs.digest', '=', digest)
}

export function linkedBlobs(read: Handle, repository: string) {
  return read
    .selectFrom('repositories')
    .innerJoin('repository_blobs', 'repository_blobs.repository_id', 'repositories.id')
    .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
    .select(COLUMNS)
    .where('repositories.name', '=', repository)
    .where('blobs.state', '=', 'live')
}

export function blobByDigest(read: Handle, digest: Digest) {
  return read.selectFrom('blobs').select(COLUMNS).where('blobs.digest', '=', digest)
}

export function storedBlob(row: BlobRecord): StoredBlob {
  return { digest: row.digest, size: row.size, key: row.storage_key, state: row.state }
}

interface Bytes {
  digest: Digest
  size: number
  key: string | undefined
  replaces?: string | undefined
  now: number
}

/** See `Blobs.commit`: the key that holds from now on, or undefined when the row must stay as it is. */
async function makeLive(trx: Handle, bytes: Bytes): Promise<string | undefined> {
  const { digest, size, key, replaces, now } = bytes
  const row = await insertOrLock(trx, bytes)
  if (row === 'inserted') return key
  if (row === undefined) return undefined
  if (row.state === 'live') {
    if (key === undefined || replaces === undefined || row.storage_key !== replaces) return row.storage_key
    await trx.updateTable('blobs').set({ storage_key: key, size }).where('digest', '=', digest).execute()
    return key
  }
  // The collector may unlink the bytes under its own key at any moment: only bytes under another key count.
  if (key === undefined || key === row.storage_key) return undefined
  await trx
    .updateTable('blobs')
    .set({ storage_key: key, size, state: 'live', created_at: now })
    .where('digest', '=', digest)
    .execute()
  return key
}

/** The row that is there, locked; one is inserted for who has bytes. */
async function insertOrLock(trx: Handle, bytes: Bytes): Promise<BlobRecord | 'inserted' | undefined> {
  const { digest, size, key, now } = bytes
  // Where transactions run side by side, a collector's last step may take the row away between the two statements.
  for (let attempt = 0; attempt < 3; attempt++) {
    const row = await blobByDigest(trx, digest).forUpdate().executeTakeFirst()
    if (row !== undefined || key === undefined) return row
    const made = await trx
      .insertInto('blobs')
      .values({ digest, size, storage_key: key, state: 'live', created_at: now })
      .onConflict((conflict) => conflict.column('digest').doNothing())
      .executeTakeFirst()
    if ((made.numInsertedOrUpdatedRows ?? 0n) > 0n) return 'inserted'
  }
  throw new MetadataError('failed', `the row of ${digest} came and went while it was being committed`)
}

/**
 * Links the blob, whose row the caller holds, in the repository. Manifests there that named it before it came
 * (put with validation off) hold it from now on.
 */
async function link(trx: Handle, repository: string, digest: Digest, now: number): Promise<void> {
  const repositoryId = await ensureRepository(trx, repository, now)
  const linked = await trx
    .insertInto('repository_blobs')
    .values({ repository_id: repositoryId, digest, created_at: now })
    .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
    .executeTakeFirst()
  if ((linked.numInsertedOrUpdatedRows ?? 0n) === 0n) return
  await trx
    .insertInto('manifest_blobs')
    .columns(['manifest_id', 'repository_id', 'digest'])
    .expression((from) =>
      from
        .selectFrom('manifest_references')
        .select(['manifest_id', 'repository_id', 'digest'])
        .where('digest', '=', digest)
        .where('repository_id', '=', repositoryId)
        .where('kind', '=', 'blob'),
    )
    .onConflict((conflict) => conflict.columns(['manifest_id', 'digest']).doNothing())
    .execute()
}

async function linkedInAny(trx: Handle, digest: Digest, from: readonly string[] | 'any'): Promise<boolean> {
  const links = trx.selectFrom('repository_blobs').select('repository_id').where('repository_blobs.digest', '=', digest)
  if (from === 'any') return (await links.limit(1).executeTakeFirst()) !== undefined
  const found = await inChunks(from, (names) =>
    links
      .innerJoin('repositories', 'repositories.id', 'repository_blobs.repository_id')
      .where('repositories.name', 'in', names)
      .limit(1)
      .execute(),
  )
  return found.length > 0
}
