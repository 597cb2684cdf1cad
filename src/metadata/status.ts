import { sql } from 'kysely'
import type { Database } from './database.ts'
import type { Status } from './metadata.ts'

export function status(database: Database): Status {
  return {
    async totals() {
      const { read } = database
      const count = sql<number>`count(*)`
      const blobs = await read
        .selectFrom('blobs')
        .select([count.as('count'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
        .where('state', '=', 'live')
        .executeTakeFirstOrThrow()
      const repositories = await read
        .selectFrom('repositories')
        .select(count.as('count'))
        .where('listed', '=', 1)
        .executeTakeFirstOrThrow()
      const manifests = await read
        .selectFrom('manifests')
        .select([count.as('count'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
        .executeTakeFirstOrThrow()
      const tags = await read.selectFrom('tags').select(count.as('count')).executeTakeFirstOrThrow()
      const uploads = await read
        .selectFrom('uploads')
        .select([count.as('count'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
        .executeTakeFirstOrThrow()
      // PostgreSQL counts and sums in types that its client hands over as text.
      return {
        repositories: Number(repositories.count),
        tags: Number(tags.count),
        manifests: Number(manifests.count),
        manifestBytes: Number(manifests.bytes),
        blobs: Number(blobs.count),
        blobBytes: Number(blobs.bytes),
        uploads: Number(uploads.count),
        uploadBytes: Number(uploads.bytes),
      }
    },

    write() {
      return database.transaction(
        async (trx) => {
          // A row that every database has, set to what it is: both databases write it all the same.
          await trx
            .updateTable('migrations')
            .set(({ ref }) => ({ applied_at: ref('applied_at') }))
            .where('version', '=', 1)
            .execute()
        },
        { durable: false },
      )
    },
  }
}
