import type { Database } from './database.ts'
import type { Repositories } from './metadata.ts'
import { deletePortion } from './repository-deletion.ts'
import { rename } from './repository-renaming.ts'

export function repositoryChanges(database: Database): Pick<Repositories, 'delete' | 'rename'> {
  return {
    delete(name, deletion) {
      return database.transaction((trx) => deletePortion(trx, name, deletion), { durable: true })
    },

    rename(from, to, change) {
      return database.transaction((trx) => rename(trx, from, to, change), { durable: true })
    },
  }
}
