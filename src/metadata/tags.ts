import type { Database } from './database.ts'
import { queueEvents } from './events.ts'
import type { Tags } from './metadata.ts'
import { lockRepository } from './repositories.ts'

export function tags(database: Database): Tags {
  return {
    async list(repository, { last, limit }) {
      const { read } = database
      const known = await read.selectFrom('repositories').select('id').where('name', '=', repository).executeTakeFirst()
      if (known === undefined) return undefined
      const rows = await read
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', known.id)
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map((row) => row.name)
    },

    delete(repository, tag, _now, events) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const removed = await trx
            .deleteFrom('tags')
            .where('repository_id', '=', repositoryId)
            .where('name', '=', tag)
            .returning('manifest_id')
            .executeTakeFirst()
          if (removed === undefined) return undefined
          const manifest = await trx
            .selectFrom('manifests')
            .select('digest')
            .where('id', '=', removed.manifest_id)
            .executeTakeFirstOrThrow()
          await queueEvents(trx, events)
          return manifest.digest
        },
        { durable: true },
      )
    },
  }
}
