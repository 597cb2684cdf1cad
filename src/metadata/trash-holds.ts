import type { ExpressionBuilder } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import type { Handle, Tables } from './database.ts'
import { statement } from './statement.ts'

/**
 * A manifest in the trash that can be restored brings its children and referrers back, which it therefore keeps: a child
 * leaves the trash after the indexes there that name it, and what hangs on something in the trash goes there, too.
 */

interface Named {
  repositoryId: number
  digest: Digest
}

const indexIn = statement((trx, { repositoryId, digest }: Named) =>
  trx
    .selectFrom('trash_references')
    .innerJoin('trash', 'trash.id', 'trash_references.trash_id')
    .select('trash.deleted_at')
    .where('trash_references.digest', '=', digest)
    .where('trash_references.kind', '=', 'manifest')
    .where('trash_references.held_digest', 'is', null)
    .where('trash.repository_id', '=', repositoryId)
    .orderBy('trash.deleted_at', 'desc')
    .limit(1),
)
const subjectIn = statement((trx, { id }: { id: number }) =>
  trx
    .selectFrom('manifests')
    .innerJoin('trash', (join) =>
      join
        .onRef('trash.repository_id', '=', 'manifests.repository_id')
        .onRef('trash.digest', '=', 'manifests.subject_digest'),
    )
    .select('trash.deleted_at')
    .where('manifests.id', '=', id)
    .orderBy('trash.deleted_at', 'desc')
    .limit(1),
)

/**
 * When the last of what would miss the manifest went to the trash: an index that names it, or its subject. Undefined: nothing
 * there would. The caller holds the lock of the repository, without which nothing is buried or restored.
 */
export async function missedSince(trx: Handle, manifest: Named & { id: number }): Promise<number | undefined> {
  const { id, repositoryId, digest } = manifest
  const [index] = (await indexIn(trx, { repositoryId, digest })).rows
  const [subject] = (await subjectIn(trx, { id })).rows
  if (index === undefined || subject === undefined) return (index ?? subject)?.deleted_at
  return Math.max(index.deleted_at, subject.deleted_at)
}

/**
 * Whether nothing in the trash needs this burial, of a query that selects from `trash`: no index there names the manifest, or
 * restoring one would bring a later burial back, or finds the manifest alive.
 */
export function isSpare({ or, not, exists, selectFrom }: ExpressionBuilder<Tables, 'trash'>) {
  return or([
    not(
      exists(
        selectFrom('trash_references as reference')
          .innerJoin('trash as above', 'above.id', 'reference.trash_id')
          .select('above.id')
          .whereRef('reference.digest', '=', 'trash.digest')
          .where('reference.kind', '=', 'manifest')
          .where('reference.held_digest', 'is', null)
          .whereRef('above.repository_id', '=', 'trash.repository_id'),
      ),
    ),
    exists(
      selectFrom('manifests')
        .select('manifests.id')
        .whereRef('manifests.repository_id', '=', 'trash.repository_id')
        .whereRef('manifests.digest', '=', 'trash.digest'),
    ),
    exists(
      selectFrom('trash as later')
        .select('later.id')
        .whereRef('later.repository_id', '=', 'trash.repository_id')
        .whereRef('later.digest', '=', 'trash.digest')
        .whereRef('later.id', '>', 'trash.id'),
    ),
  ])
}

const lockBurial = statement((trx, { id }: { id: number }) =>
  trx.selectFrom('trash').select('id').where('id', '=', id).forUpdate(),
)
const spareBurial = statement((trx, { id }: { id: number }) =>
  trx.selectFrom('trash').select('id').where('id', '=', id).where(isSpare),
)

/**
 * What stands in the way of purging a burial, which is locked from then on. A restoration takes the row of the index away
 * before it locks those of the children: as long as it has not committed, the index is still seen here; after that, the child's
 * row is gone.
 */
export async function lockSpare(trx: Handle, id: number): Promise<'spare' | 'held' | 'gone'> {
  if ((await lockBurial(trx, { id })).rows.length === 0) return 'gone'
  // A statement of its own, for it has to see what was committed while the first one waited.
  return (await spareBurial(trx, { id })).rows.length > 0 ? 'spare' : 'held'
}
