import { type Handle, inChunks } from './database.ts'

/** An index (or manifest list) names a manifest of its own repository, by the ids of their rows. */
export interface IndexEdge {
  above: number
  below: number
}

/**
 * What the manifests of these ids name (`above`), or are named by (`below`). Ids alone lead to the rows: beside them, a
 * repository's would make SQLite walk all of its manifests.
 */
export async function indexEdges(read: Handle, side: keyof IndexEdge, ids: readonly number[]): Promise<IndexEdge[]> {
  const column = side === 'above' ? 'manifest_references.manifest_id' : 'manifests.id'
  return await inChunks(ids, (chunk) =>
    read
      .selectFrom('manifest_references')
      .innerJoin('manifests', (join) =>
        join
          .onRef('manifests.repository_id', '=', 'manifest_references.repository_id')
          .onRef('manifests.digest', '=', 'manifest_references.digest'),
      )
      .select(['manifest_references.manifest_id as above', 'manifests.id as below'])
      .where('manifest_references.kind', '=', 'manifest')
      .where(column, 'in', chunk)
      .execute(),
  )
}
