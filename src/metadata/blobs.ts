import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { queueEvents } from './events.ts'
import { type Blobs, type LinkReview, MetadataError, type StoredBlob } from './metadata.ts'
import { countArrival, countDeparture, countHeld, countSize } from './quota-counts.ts'
import { ensureRepository, lockRepository } from './repositories.ts'
import { causeOf, codeOf, discard, discardUnheld, reviewLink, settleLinks } from './reviews.ts'
import { statement } from './statement.ts'

export interface BlobRecord {
  digest: Digest
  size: number
  storage_key: string
  state: 'live' | 'deleting' | 'damaged'
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
          const { id: repositoryId } = await ensureRepository(trx, commit.repository, commit.now)
          await link(trx, repositoryId, commit.digest, commit.now, true)
          await trx.deleteFrom('uploads').where('id', '=', commit.upload).execute()
          await queueEvents(trx, commit.events)
          return key
        },
        { durable: true },
      )
    },

    async discarded(digest) {
      const rows = await database.read
        .selectFrom('discarded_objects')
        .select('storage_key')
        .where('digest', '=', digest)
        .execute()
      return rows.map((row) => row.storage_key)
    },

    async review(repository, digest) {
      const row = await linkReview(database.read, repository, digest).executeTakeFirst()
      return row && reviewOf(row)
    },

    touch(repository, digest, now) {
      return database.transaction(
        async (trx) => {
          const link = await linkReview(trx, repository, digest).executeTakeFirst()
          if (link === undefined) return false
          const touched = await trx
            .updateTable('link_reviews')
            .set({ since: now, freed: codeOf('unused') })
            .where('repository_id', '=', link.repository_id)
            .where('digest', '=', digest)
            .executeTakeFirst()
          if (touched.numUpdatedRows > 0n) return true
          // Settled, or the collector took it after the first look.
          return (await linkReview(trx, repository, digest).executeTakeFirst()) !== undefined
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
          await link(trx, (await ensureRepository(trx, to, now)).id, digest, now, true)
          await queueEvents(trx, events)
          return true
        },
        { durable: true },
      )
    },

    unlink(repository, digest, { now, events }) {
      return database.transaction(
        async (trx) => {
          await blobByDigest(trx, digest).forNoKeyUpdate().executeTakeFirst()
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
          await countDeparture(trx, repositoryId, digest)
          await discardUnheld(trx, digest, now)
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

/** A row while a live blob is linked in the repository; its columns are null where it does not wait. */
export function linkReview(read: Handle, repository: string, digest: Digest) {
  return read
    .selectFrom('repositories')
    .innerJoin('repository_blobs', 'repository_blobs.repository_id', 'repositories.id')
    .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
    .leftJoin('link_reviews', (join) =>
      join
        .onRef('link_reviews.repository_id', '=', 'repository_blobs.repository_id')
        .onRef('link_reviews.digest', '=', 'repository_blobs.digest'),
    )
    .select(['repositories.id as repository_id', 'link_reviews.since', 'link_reviews.freed'])
    .where('repositories.name', '=', repository)
    .where('repository_blobs.digest', '=', digest)
    .where('blobs.state', '=', 'live')
}

export function reviewOf({ since, freed }: { since: number | null; freed: number | null }): LinkReview {
  return since === null ? { kind: 'settled' } : { kind: 'waiting', since, cause: causeOf(freed ?? 0) }
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
  if (row === undefined) return undefined
  if (key !== undefined && (await isDiscarded(trx, key))) {
    if (row === 'inserted') await trx.deleteFrom('blobs').where('digest', '=', digest).execute()
    return undefined
  }
  if (row === 'inserted') return key
  if (row.state === 'live') {
    if (key === undefined || replaces === undefined || row.storage_key !== replaces) return row.storage_key
    await trx.updateTable('blobs').set({ storage_key: key, size }).where('digest', '=', digest).execute()
    if (size !== row.size) await countSize(trx, digest, size)
    await discard(trx, { key: row.storage_key, digest, size: row.size, kind: 'copy', now })
    return key
  }
  // The collector may unlink the bytes under its own key at any moment, and damaged ones are moved: only others count.
  if (key === undefined || key === row.storage_key) return undefined
  await discard(trx, { key: row.storage_key, digest, size: row.size, kind: 'copy', now })
  if (size !== row.size) await countSize(trx, digest, size)
  await trx
    .updateTable('blobs')
    .set({ storage_key: key, size, state: 'live', created_at: now })
    .where('digest', '=', digest)
    .execute()
  // One that is being deleted may have been damaged before.
  await trx.deleteFrom('damaged_blobs').where('digest', '=', digest).execute()
  return key
}

export async function isDiscarded(trx: Handle, key: string): Promise<boolean> {
  const object = await trx
    .selectFrom('discarded_objects')
    .select('storage_key')
    .where('storage_key', '=', key)
    .executeTakeFirst()
  return object !== undefined
}

/**
 * The row that is there, locked; one is inserted for who has bytes. The lock leaves keys alone: whoever deletes a manifest
 * holds its repository already when it makes the trash hold the blob.
 */
async function insertOrLock(trx: Handle, bytes: Bytes): Promise<BlobRecord | 'inserted' | undefined> {
  const { digest, size, key, now } = bytes
  // Where transactions run side by side, a collector's last step may take the row away between the two statements.
  for (let attempt = 0; attempt < 3; attempt++) {
    const row = await blobByDigest(trx, digest).forNoKeyUpdate().executeTakeFirst()
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
 * Links the blob, whose row and repository the caller holds, in the repository. Manifests there that named it before it
 * came (put with validation off) hold it from now on; without one, the link waits for the collector. `bound`:
 * by quotas, as what a client sends.
 */
export async function link(
  trx: Handle,
  repositoryId: number,
  digest: Digest,
  now: number,
  bound: boolean,
): Promise<void> {
  const linked = await trx
    .insertInto('repository_blobs')
    .values({ repository_id: repositoryId, digest, created_at: now })
    .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
    .executeTakeFirst()
  const isNew = (linked.numInsertedOrUpdatedRows ?? 0n) > 0n
  if (!isNew) await sendAgain(trx, { repositoryId, digest, now })
  await reviewLink(trx, { repositoryId, digest, isNew, now })
  await countArrival(trx, repositoryId, digest, bound)
  if (!isNew) return
  const holders = await holdNamed(trx, repositoryId, [digest])
  if (holders.length === 0) return
  await settleLinks(trx, repositoryId, [digest])
  await countHeld(trx, repositoryId, holders, digest, bound)
}

const sendAgain = statement(
  (trx, { repositoryId, digest, now }: { repositoryId: number; digest: Digest; now: number }) =>
    trx
      .updateTable('repository_blobs')
      .set({ created_at: now })
      .where('repository_id', '=', repositoryId)
      .where('digest', '=', digest),
)

/**
 * Manifests of the repository that name these blobs, whose links are new, hold them from now on. Resolves to their ids.
 * No more digests than one statement takes (`inChunks`).
 */
export async function holdNamed(trx: Handle, repositoryId: number, digests: readonly Digest[]): Promise<number[]> {
  const held = await trx
    .insertInto('manifest_blobs')
    .columns(['manifest_id', 'repository_id', 'digest'])
    .expression((from) =>
      from
        .selectFrom('manifest_references')
        .select(['manifest_id', 'repository_id', 'digest'])
        .where('digest', 'in', digests)
        .where('repository_id', '=', repositoryId)
        .where('kind', '=', 'blob'),
    )
    .onConflict((conflict) => conflict.columns(['manifest_id', 'digest']).doNothing())
    .returning('manifest_id')
    .execute()
  return held.map((row) => row.manifest_id)
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
