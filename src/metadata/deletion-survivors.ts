import { type SqlBool, sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { type Handle, inChunks } from './database.ts'
import { indexEdges } from './index-edges.ts'

/**
 * What is pushed or restored while its repository is deleted stays: manifests, with the children that they would lack, for nobody
 * finds an image whose parts are gone; and those tags. Their digests and names are noted here until the deletion ends, for ids say
 * nothing: a manifest that is pushed again keeps its own, and SQLite gives a new one that of another which has just gone.
 */
export interface Survivors {
  /** Ids. */
  manifests: readonly number[]
  tags: readonly string[]
}

/** The caller holds the repository's lock, and has seen that it is being deleted. */
export async function survive(trx: Handle, repositoryId: number, { manifests, tags }: Survivors): Promise<void> {
  const seen = new Set(manifests)
  for (let level = [...seen]; level.length > 0; ) {
    const rows = await inChunks(level, (ids) =>
      trx.selectFrom('manifests').select('digest').where('id', 'in', ids).execute(),
    )
    await note(
      trx,
      repositoryId,
      rows.map(({ digest }) => digest),
    )
    const edges = await indexEdges(trx, 'above', level)
    level = [...new Set(edges.map(({ below }) => below))].filter((id) => !seen.has(id))
    for (const id of level) seen.add(id)
  }
  await note(trx, repositoryId, tags)
}

async function note(trx: Handle, repositoryId: number, names: readonly (Digest | string)[]): Promise<void> {
  await inChunks(names, (chunk) =>
    trx
      .insertInto('deletion_survivors')
      .values(chunk.map((name) => ({ repository_id: repositoryId, name })))
      .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doNothing())
      .execute(),
  )
}

/** As `survive`, where it is not known yet whether the repository is being deleted. */
export async function surviveDeletion(trx: Handle, repositoryId: number, survivors: Survivors): Promise<void> {
  const repository = await trx
    .selectFrom('repositories')
    .select('deletion')
    .where('id', '=', repositoryId)
    .executeTakeFirst()
  if (typeof repository?.deletion === 'string') await survive(trx, repositoryId, survivors)
}

/** Of the row that has these columns, named with their table. */
export function isNoSurvivor(repositoryId: string, name: string) {
  return sql<SqlBool>`not exists (select 1 from deletion_survivors where deletion_survivors.repository_id = ${sql.ref(repositoryId)} and deletion_survivors.name = ${sql.ref(name)})`
}

export async function forgetSurvivors(trx: Handle, repositoryId: number): Promise<void> {
  await trx.deleteFrom('deletion_survivors').where('repository_id', '=', repositoryId).execute()
}
