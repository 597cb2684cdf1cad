import { bury } from './burial.ts'
import { countCollected } from './collected.ts'
import { candidates } from './collection-queue.ts'
import { status } from './collection-status.ts'
import type { Database, Handle } from './database.ts'
import type {
  Collection,
  Destination,
  Due,
  LinkCandidate,
  ManifestCandidate,
  Outcome,
  TrashCandidate,
} from './metadata.ts'
import { rehearse } from './rehearsal.ts'
import { causeOf, discardUnheld } from './reviews.ts'
import { strays } from './strays.ts'
import { why } from './why.ts'

/**
 * See `Collection`. Locks are taken in the order blob, repository, review, as everywhere. Where the lock of a blob or of a
 * repository is taken already, another collector or a push is at work there: the candidate waits for the next cycle.
 */
export function collection(database: Database): Collection {
  const durably = <T>(body: (trx: Handle) => Promise<T>) => database.transaction(body, { durable: true })
  return {
    ...candidates(database),
    ...strays(database),
    takeLink: (link, due) => durably((trx) => takeLink(trx, link, due)),
    takeManifest: (manifest, due, destination) => durably((trx) => takeManifest(trx, manifest, due, destination)),
    purge: (trash, now) => durably((trx) => purge(trx, trash, now)),

    forget({ key, digest, size }) {
      return database.transaction(
        async (trx) => {
          await trx.selectFrom('blobs').select('digest').where('digest', '=', digest).forUpdate().execute()
          const object = await trx
            .deleteFrom('discarded_objects')
            .where('storage_key', '=', key)
            .returning('kind')
            .executeTakeFirst()
          if (object === undefined) return
          const row = await trx
            .deleteFrom('blobs')
            .where('digest', '=', digest)
            .where('storage_key', '=', key)
            .where('state', '=', 'deleting')
            .executeTakeFirst()
          const isBlob = object.kind === 'blob' && row.numDeletedRows > 0n
          await countCollected(trx, isBlob ? 'blob' : 'copy', { count: 1, bytes: size })
        },
        { durable: false },
      )
    },

    count: (kind, tally) => database.transaction((trx) => countCollected(trx, kind, tally), { durable: false }),
    status: () => status(database.read),
    why: (digest, limit) => why(database.read, digest, limit),
    rehearse: (plan, limit) => rehearse(database, plan, limit, { takeLink, takeManifest, purge }),
  }
}

const BUSY: Outcome = { kind: 'busy' }
const KEPT: Outcome = { kind: 'kept' }

function isDue(review: { since: number; freed: number }, { before, causes }: Due): boolean {
  return review.since <= before || causes.includes(causeOf(review.freed))
}

export async function takeLink(trx: Handle, link: LinkCandidate, due: Due): Promise<Outcome> {
  const { repositoryId, digest } = link
  const blob = await trx
    .selectFrom('blobs')
    .select('size')
    .where('digest', '=', digest)
    .forNoKeyUpdate()
    .skipLocked()
    .executeTakeFirst()
  if (blob === undefined) return BUSY
  if (!(await lockRepositoryNow(trx, repositoryId))) return BUSY
  const review = await trx
    .selectFrom('link_reviews')
    .select(['since', 'freed'])
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .forUpdate()
    .executeTakeFirst()
  if (review === undefined || !isDue(review, due)) return KEPT
  const need = await trx
    .selectFrom('manifest_blobs')
    .select('manifest_id')
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .limit(1)
    .executeTakeFirst()
  const table = need === undefined ? 'repository_blobs' : 'link_reviews'
  // The review of a link goes with the link (ON DELETE CASCADE).
  await trx.deleteFrom(table).where('repository_id', '=', repositoryId).where('digest', '=', digest).execute()
  if (need !== undefined) return KEPT
  const size = await discardUnheld(trx, digest, due.now)
  return { kind: 'taken', discarded: size === undefined ? [] : [{ digest, size }], freed: [] }
}

export async function takeManifest(
  trx: Handle,
  manifest: ManifestCandidate,
  due: Due,
  destination: Destination,
): Promise<Outcome> {
  const { id, repositoryId, repository, digest } = manifest
  // Under another name than the one that the candidate was found by, memory would still answer for it.
  if (!(await lockRepositoryNow(trx, repositoryId, repository))) return BUSY
  const review = await trx
    .selectFrom('manifest_reviews')
    .select(['since', 'freed'])
    .where('manifest_id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (review === undefined || !isDue(review, due)) return KEPT
  if (await isNeeded(trx, manifest)) {
    await trx.deleteFrom('manifest_reviews').where('manifest_id', '=', id).execute()
    return KEPT
  }
  const change = { now: due.now, actor: COLLECTOR }
  const deletedAt = burialTime(destination, review.since, due.now)
  const grave = deletedAt === undefined ? undefined : ({ reason: 'collected', batch: undefined, deletedAt } as const)
  // What had this one alone to live for has waited as long: it goes in the same cycle.
  const { freed } = await bury(trx, { repositoryId, manifestId: id, change, grave, since: review.since })
  if (grave === undefined) await countCollected(trx, 'manifest', { count: 1, bytes: manifest.size })
  return { kind: 'taken', discarded: [], freed: freed.length === 0 ? [digest] : [digest, ...freed] }
}

/** Who deletes what nobody needs. */
const COLLECTOR = 'berth gc'

function burialTime(destination: Destination, since: number, now: number): number | undefined {
  if (destination.to === 'nowhere') return undefined
  const from = destination.from === 'now' ? now : since
  return from + destination.window <= now ? undefined : from
}

/** Whether a tag, an index or a subject of the repository needs the manifest; `tags aside`: one of the latter two. */
export async function isNeeded(
  trx: Handle,
  { id, repositoryId, digest }: Pick<ManifestCandidate, 'id' | 'repositoryId' | 'digest'>,
  what: 'by anything' | 'tags aside' = 'by anything',
): Promise<boolean> {
  const tag = trx.selectFrom('tags').select('name').where('manifest_id', '=', id)
  const parent = trx
    .selectFrom('manifest_references')
    .select('manifest_id')
    .where('digest', '=', digest)
    .where('repository_id', '=', repositoryId)
    .where('kind', '=', 'manifest')
    .where('manifest_id', '!=', id)
  const subject = trx
    .selectFrom('manifests as me')
    .innerJoin('manifests as subject', (join) =>
      join.onRef('subject.repository_id', '=', 'me.repository_id').onRef('subject.digest', '=', 'me.subject_digest'),
    )
    .select('subject.id')
    .where('me.id', '=', id)
    .whereRef('subject.id', '!=', 'me.id')
  const queries = [...(what === 'tags aside' ? [] : [tag.limit(1)]), parent.limit(1), subject.limit(1)]
  for (const query of queries) {
    if ((await query.execute()).length > 0) return true
  }
  return false
}

export async function purge(trx: Handle, { id, digest }: TrashCandidate, now: number): Promise<Outcome> {
  const held = await trx
    .selectFrom('trash_references')
    .select('held_digest')
    .where('trash_id', '=', id)
    .where('held_digest', 'is not', null)
    .orderBy('held_digest')
    .execute()
  const digests = held.flatMap(({ held_digest }) => held_digest ?? [])
  for (const each of digests) {
    await trx.selectFrom('blobs').select('digest').where('digest', '=', each).forNoKeyUpdate().execute()
  }
  const purged = await trx.deleteFrom('trash').where('id', '=', id).returning('size').executeTakeFirst()
  if (purged === undefined) return KEPT
  const discarded: { digest: typeof digest; size: number }[] = []
  for (const each of digests) {
    const size = await discardUnheld(trx, each, now)
    if (size !== undefined) discarded.push({ digest: each, size })
  }
  await countCollected(trx, 'manifest', { count: 1, bytes: purged.size })
  return { kind: 'taken', discarded, freed: [] }
}

async function lockRepositoryNow(trx: Handle, id: number, name?: string): Promise<boolean> {
  const locked = await trx
    .selectFrom('repositories')
    .select('id')
    .where('id', '=', id)
    .$if(name !== undefined, (query) => query.where('name', '=', name ?? ''))
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  return locked !== undefined
}
