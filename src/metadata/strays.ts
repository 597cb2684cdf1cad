import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import type { Collection } from './metadata.ts'
import { discard } from './reviews.ts'

/** Bytes in storage that no row names: what a crash between bytes and row leaves behind. */
export function strays(database: Database): Pick<Collection, 'strays' | 'claim'> {
  return {
    async strays(found) {
      const { read } = database
      const keys = found.map(({ key }) => key)
      const discarded = await inChunks(keys, (chunk) =>
        read.selectFrom('discarded_objects').select('storage_key').where('storage_key', 'in', chunk).execute(),
      )
      const digests = [...new Set(found.map(({ digest }) => digest))]
      const rows = await inChunks(digests, (chunk) =>
        read.selectFrom('blobs').select('storage_key').where('digest', 'in', chunk).execute(),
      )
      const named = new Set([...discarded, ...rows].map(({ storage_key }) => storage_key))
      const lost = await lostAmong(
        read,
        found.filter(({ key }) => !named.has(key)).map(({ digest }) => digest),
      )
      return found.filter(({ key, digest }) => !named.has(key) && !lost.has(digest)).map(({ key }) => key)
    },

    claim({ key, digest, size }, now) {
      return database.transaction(
        async (trx) => {
          if ((await lostAmong(trx, [digest])).size > 0) return false
          // With a row of its own the key is barred for a commit that has sealed it and comes to its row only now.
          await trx
            .insertInto('blobs')
            .values({ digest, size, storage_key: key, state: 'deleting', created_at: now })
            .onConflict((conflict) => conflict.column('digest').doNothing())
            .execute()
          const row = await trx
            .selectFrom('blobs')
            .select(['storage_key', 'state'])
            .where('digest', '=', digest)
            .forNoKeyUpdate()
            .executeTakeFirst()
          if (row === undefined || (row.storage_key === key && row.state === 'live')) return false
          await discard(trx, { key, digest, size, kind: 'copy', now })
          return true
        },
        { durable: true },
      )
    },
  }
}

/** Blobs that have no row and are in a repository all the same: `berth verify` gives them one again. */
async function lostAmong(read: Handle, digests: readonly Digest[]): Promise<Set<Digest>> {
  const rows = await inChunks([...new Set(digests)], (chunk) =>
    read
      .selectFrom('repository_blobs')
      .leftJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
      .select('repository_blobs.digest')
      .where('repository_blobs.digest', 'in', chunk)
      .where('blobs.digest', 'is', null)
      .execute(),
  )
  return new Set(rows.map(({ digest }) => digest))
}
