import { type Database, inChunks } from './database.ts'
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
      return keys.filter((key) => !named.has(key))
    },

    claim({ key, digest, size }, now) {
      return database.transaction(
        async (trx) => {
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
