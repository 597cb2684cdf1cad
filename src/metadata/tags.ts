import type { Digest } from '../oci/digest.ts'
import type { Database, Handle } from './database.ts'
import { surviveDeletion } from './deletion-survivors.ts'
import { queueEvents } from './events.ts'
import { exhume } from './exhumation.ts'
import { manifestIdOf } from './manifests.ts'
import type { Change, TagProtection, TagRestored, Tags } from './metadata.ts'
import { refuseToDelete, refuseToMove } from './protection.ts'
import { restoreTagPulls } from './pulls.ts'
import { knownRepository, lockRepository } from './repositories.ts'
import { history, moveTag, placeBefore, removeTag, taggedManifest } from './tag-history.ts'

export function tags(database: Database): Tags {
  return {
    async list(repository, { last, limit }) {
      const { read } = database
      const known = await knownRepository(read, repository)
      if (known === undefined) return undefined
      const rows = await read
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', known)
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map((row) => row.name)
    },

    delete(repository, tag, { events, protections, ...change }) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const digest = await removeTag(trx, { repositoryId, name: tag, ...change })
          if (digest !== undefined) refuseToDelete({ repository, protections }, [{ name: tag, digest }])
          if (digest !== undefined) await queueEvents(trx, events)
          return digest
        },
        { durable: true },
      )
    },

    history: (repository, tag, page) => history(database.read, repository, tag, page),

    restore(repository, tag, to, { protections, ...change }) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return { kind: 'unknown', digest: undefined } as const
          return await restore(trx, { repositoryId, repository, protections, name: tag, to, change })
        },
        { durable: true },
      )
    },
  }
}

async function restore(
  trx: Handle,
  wanted: {
    repositoryId: number
    repository: string
    protections: readonly TagProtection[] | undefined
    name: string
    to: Digest | undefined
    change: Change
  },
): Promise<TagRestored> {
  const { repositoryId, name, change } = wanted
  const digest = wanted.to ?? (await placeBefore(trx, repositoryId, name))
  if (digest === undefined) {
    return { kind: 'unknown', digest: (await taggedManifest(trx, repositoryId, name))?.digest }
  }
  await refuseToMove(trx, wanted, [name], digest)
  const living = await manifestIdOf(trx, repositoryId, digest)
  const exhumed = living === undefined ? await exhume(trx, { repositoryId, digest, now: change.now }) : undefined
  const manifestId = living ?? exhumed?.id
  if (manifestId === undefined) return { kind: 'gone', digest }
  await surviveDeletion(trx, repositoryId, { manifests: [manifestId], tags: [name] })
  const from = await moveTag(trx, { repositoryId, name, manifestId, digest, ...change, bound: false })
  if (from === undefined) await restoreTagPulls(trx, repositoryId, [name], exhumed?.tagged[0]?.pulls ?? [])
  return { kind: 'restored', digest, from: from === digest ? undefined : from }
}
