import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import type { Affected } from './metadata.ts'

interface Node {
  id: number
  repository_id: number
  repository: string
  digest: Digest
}

/** See `Verification.affected`: from the manifests that name the digest up through indexes, to every tag on the way. */
export async function affected(read: Handle, digest: Digest, limit: number): Promise<Affected[]> {
  const nodes = read
    .selectFrom('manifests')
    .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
    .select(['manifests.id', 'manifests.repository_id', 'repositories.name as repository', 'manifests.digest'])
  const first = await nodes
    .where(({ eb, or, selectFrom }) =>
      or([
        eb('manifests.digest', '=', digest),
        eb(
          'manifests.id',
          'in',
          selectFrom('manifest_references')
            .select('manifest_references.manifest_id')
            .where('manifest_references.digest', '=', digest)
            .where('manifest_references.kind', '=', 'blob'),
        ),
      ]),
    )
    .orderBy('manifests.id')
    .limit(limit)
    .execute()
  const found: Affected[] = []
  const seen = new Set(first.map(({ id }) => id))
  const waiting: Node[] = [...first]
  for (let node = waiting.shift(); node !== undefined && found.length < limit; node = waiting.shift()) {
    const { id, repository, digest: manifest } = node
    const tags = await read
      .selectFrom('tags')
      .select('name')
      .where('manifest_id', '=', id)
      .orderBy('name')
      .limit(limit - found.length)
      .execute()
    for (const { name: tag } of tags) found.push({ repository, tag, manifest })
    const parents = await nodes
      .where('manifests.id', 'in', (from) =>
        from
          .selectFrom('manifest_references')
          .select('manifest_references.manifest_id')
          .where('manifest_references.digest', '=', manifest)
          .where('manifest_references.repository_id', '=', node?.repository_id ?? 0)
          .where('manifest_references.kind', '=', 'manifest'),
      )
      .orderBy('manifests.id')
      .limit(limit)
      .execute()
    const above = parents.filter((parent) => !seen.has(parent.id))
    for (const parent of above) {
      seen.add(parent.id)
      waiting.push(parent)
    }
    if (tags.length === 0 && parents.length === 0) found.push({ repository, tag: undefined, manifest })
  }
  return found
}
