import type { Database } from './database.ts'
import { MetadataError, type Repositories } from './metadata.ts'
import { giveUpRename, rename } from './repository-renaming.ts'

export function repositoryChanges(database: Database): Pick<Repositories, 'rename'> {
  return {
    async rename(from, to, change) {
      try {
        return await database.transaction((trx) => rename(trx, from, to, change), { durable: true })
      } catch (error) {
        if (error instanceof MetadataError && error.fault === 'denied') {
          await database.transaction((trx) => giveUpRename(trx, from), { durable: true })
        }
        throw error
      }
    },
  }
}
