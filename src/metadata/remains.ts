import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import type { Remains } from './metadata.ts'
import { causeOf } from './reviews.ts'

/** See `Collection.remains`. What is found here is looked at again under its lock. */
export async function remains(read: Handle, repository: string, digest: Digest): Promise<Remains | undefined> {
  const row = await read.selectFrom('repositories').select('id').where('name', '=', repository).executeTakeFirst()
  if (row === undefined) return undefined
  const repositoryId = row.id
  const burials = await read
    .selectFrom('trash')
    .select(['id', 'size', 'attempts', 'reason', 'batch', 'deleted_at'])
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .orderBy('id', 'desc')
    .execute()
  const manifest = await read
    .selectFrom('manifests')
    .leftJoin('manifest_reviews', 'manifest_reviews.manifest_id', 'manifests.id')
    .select(['manifests.id', 'size', 'since', 'freed', 'attempts'])
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .executeTakeFirst()
  if (burials.length === 0 && manifest === undefined) return undefined
  return {
    burials: burials.map(({ id, size, attempts, reason, batch, deleted_at: deletedAt }) => ({
      trash: { kind: 'trash', ...{ id, repository, digest, size, attempts } },
      ...{ reason, batch: batch ?? undefined, deletedAt },
    })),
    manifest: manifest && {
      kind: 'manifest',
      ...{ id: manifest.id, repositoryId, repository, digest, size: manifest.size, attempts: manifest.attempts ?? 0 },
    },
    freedAt: manifest?.since != null && causeOf(manifest.freed ?? 0) === 'deleted' ? Number(manifest.since) : undefined,
    dependants: await dependantsOf(read, { repositoryId, digest, manifestId: manifest?.id }, burials),
  }
}

/** Sorted here: an order asked of the database would lead SQLite to an index of a repository's whole trash. */
async function dependantsOf(
  read: Handle,
  of: { repositoryId: number; digest: Digest; manifestId: number | undefined },
  burials: readonly { id: number }[],
): Promise<Digest[]> {
  const found = new Set<Digest>()
  const add = (rows: readonly { digest: Digest }[]) => {
    for (const { digest } of rows) if (digest !== of.digest) found.add(digest)
  }
  for (const { id } of burials) {
    add(
      await read
        .selectFrom('trash_references')
        .select('digest')
        .where('trash_id', '=', id)
        .where('kind', '=', 'manifest')
        .execute(),
    )
  }
  if (of.manifestId !== undefined) {
    add(
      await read
        .selectFrom('manifest_references')
        .select('digest')
        .where('manifest_id', '=', of.manifestId)
        .where('kind', '=', 'manifest')
        .execute(),
    )
  }
  for (const table of ['manifests', 'trash'] as const) {
    add(
      await read
        .selectFrom(table)
        .select('digest')
        .where('repository_id', '=', of.repositoryId)
        .where('subject_digest', '=', of.digest)
        .execute(),
    )
  }
  return [...found].sort()
}
