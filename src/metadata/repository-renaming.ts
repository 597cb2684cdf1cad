import type { Handle } from './database.ts'
import { queueEvents } from './events.ts'
import type { Renamed, RepositoryChange } from './metadata.ts'
import { refuseToDeleteAll } from './protection.ts'
import { giveUp } from './quota-building.ts'
import { countRename } from './quota-renaming.ts'
import { lockRepository } from './repositories.ts'

/** Manifests that quotas count in advance, unless told. */
const MOST = 100

/**
 * See `Repositories.rename`: all that belongs to a repository names it by its id, so that this is one row. Whoever pushes at
 * the same time holds that row, or finds it gone when it is let go: a push is in the new place, or makes the old one anew.
 */
export async function rename(
  trx: Handle,
  from: string,
  to: string,
  change: RepositoryChange & { most?: number | undefined },
): Promise<Renamed | 'counting'> {
  const repository = await trx
    .selectFrom('repositories')
    .select(['id', 'deletion'])
    .where('name', '=', from)
    .where('removed_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
  if (repository === undefined) return 'unknown'
  // Whoever carries the deletion out, and what memory knows, go by the name.
  if (repository.deletion !== null) {
    await giveUp(trx, repository.id)
    return 'deleting'
  }
  const former = await lockRepository(trx, to)
  const taken = former === undefined ? undefined : await contentOf(trx, former)
  if (taken !== undefined) {
    await giveUp(trx, repository.id)
    return taken
  }
  // Whoever pulls an immutable tag by the old name finds it gone.
  await refuseToDeleteAll(trx, { ...change, repositoryId: repository.id, repository: from })
  if (!(await countRename(trx, repository.id, to, change.most ?? MOST))) return 'counting'
  // What is left of a repository that was deleted, once nothing of it can come back, makes room.
  if (former !== undefined) await forget(trx, former)
  await trx.updateTable('repositories').set({ name: to }).where('id', '=', repository.id).execute()
  await queueEvents(trx, change.events)
  return 'renamed'
}

/** What of a repository keeps its name from being given to another one. */
async function contentOf(trx: Handle, id: number): Promise<'exists' | 'in-trash' | 'in-use' | undefined> {
  const deletion = trx.selectFrom('repositories').select('id').where('id', '=', id).where('deletion', 'is not', null)
  if ((await deletion.execute()).length > 0) return 'exists'
  const manifest = trx.selectFrom('manifests').select('id').where('repository_id', '=', id)
  if ((await manifest.limit(1).execute()).length > 0) return 'exists'
  const buried = trx.selectFrom('trash').select('id').where('repository_id', '=', id)
  if ((await buried.limit(1).execute()).length > 0) return 'in-trash'
  const link = trx.selectFrom('repository_blobs').select('digest').where('repository_id', '=', id)
  if ((await link.limit(1).execute()).length > 0) return 'in-use'
  return undefined
}

async function forget(trx: Handle, id: number): Promise<void> {
  await trx.deleteFrom('tag_history').where('repository_id', '=', id).execute()
  await trx.deleteFrom('repositories').where('id', '=', id).execute()
}

/** A rename that is given up leaves nothing: quotas count the repository in advance no more. */
export async function giveUpRename(trx: Handle, from: string): Promise<void> {
  const id = await lockRepository(trx, from)
  if (id !== undefined) await giveUp(trx, id)
}
