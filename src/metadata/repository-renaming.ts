import type { Handle } from './database.ts'
import { queueEvents } from './events.ts'
import type { Renamed, RepositoryChange } from './metadata.ts'
import { refuseToDeleteAll } from './protection.ts'
import { countRename } from './quota-renaming.ts'
import { lockRepository } from './repositories.ts'

/**
 * See `Repositories.rename`: all that belongs to a repository names it by its id, so that this is one row. Whoever pushes at
 * the same time holds that row, or finds it gone when it is let go: a push is in the new place, or makes the old one anew.
 */
export async function rename(trx: Handle, from: string, to: string, change: RepositoryChange): Promise<Renamed> {
  const repository = await trx
    .selectFrom('repositories')
    .select('id')
    .where('name', '=', from)
    .where('removed_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
  if (repository === undefined) return 'unknown'
  const taken = await makeRoom(trx, to)
  if (taken !== undefined) return taken
  // Whoever pulls an immutable tag by the old name finds it gone.
  await refuseToDeleteAll(trx, { ...change, repositoryId: repository.id, repository: from })
  await trx.updateTable('repositories').set({ name: to }).where('id', '=', repository.id).execute()
  await countRename(trx, repository.id, to)
  await queueEvents(trx, change.events)
  return 'renamed'
}

/** What is left of a repository that was deleted, once nothing of it can come back, makes room. Else what the name is taken by. */
async function makeRoom(trx: Handle, name: string): Promise<Exclude<Renamed, 'renamed' | 'unknown'> | undefined> {
  const id = await lockRepository(trx, name)
  if (id === undefined) return undefined
  const manifest = trx.selectFrom('manifests').select('id').where('repository_id', '=', id)
  if ((await manifest.limit(1).execute()).length > 0) return 'exists'
  const buried = trx.selectFrom('trash').select('id').where('repository_id', '=', id)
  if ((await buried.limit(1).execute()).length > 0) return 'in-trash'
  const link = trx.selectFrom('repository_blobs').select('digest').where('repository_id', '=', id)
  if ((await link.limit(1).execute()).length > 0) return 'in-use'
  await trx.deleteFrom('tag_history').where('repository_id', '=', id).execute()
  await trx.deleteFrom('repositories').where('id', '=', id).execute()
  return undefined
}
