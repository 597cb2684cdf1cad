import type { Digest } from '../oci/digest.ts'
import { bury } from './burial.ts'
import { countCollected } from './collected.ts'
import { candidates } from './collection-queue.ts'
import { garbage, heldByTrash, status } from './collection-status.ts'
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
import { countDeparture } from './quota-counts.ts'
import { createRehearsing, type Rehearsing } from './rehearsal.ts'
import { remains } from './remains.ts'
import { causeOf, discardUnheld } from './reviews.ts'
import { statement } from './statement.ts'
import { strays } from './strays.ts'
import { lockSpare, missedSince } from './trash-holds.ts'
import { why } from './why.ts'

/**
 * See `Collection`. Locks are taken in the order blob, repository, review, as everywhere. Where the lock of a blob or of a
 * repository is taken already, another collector or a push is at work there: the candidate waits for the next cycle.
 */
export function collection(database: Database): Collection {
  const relaxed = <T>(body: (trx: Handle) => Promise<T>) => database.transaction(body, { durable: false })
  // Of one at a time: another one's begins anew.
  let rehearsing: (Rehearsing & { id: string }) | undefined
  return {
    ...candidates(database),
    ...strays(database),
    takeLink: (link, due) => relaxed((trx) => takeLink(trx, link, due)),
    takeManifest: (manifest, due, destination) => relaxed((trx) => takeManifest(trx, manifest, due, destination)),
    purge: (trash, now) => relaxed((trx) => purge(trx, trash, now)),
    remains: (repository, digest) => remains(database.read, repository, digest),

    // SQLite writes no row, and so syncs no log, when nothing in it changes.
    sync: () =>
      database.transaction((trx) => countCollected(trx, 'portion', { count: 1, bytes: 0 }), { durable: true }),

    forget: ({ key, digest, size }) =>
      relaxed(async (trx) => {
        await lockWholeBlob(trx, { digest })
        const [object] = (await removeDiscarded(trx, { key })).rows
        if (object === undefined) return
        const row = await removeMarked(trx, { digest, key })
        const isBlob = object.kind === 'blob' && (row.numAffectedRows ?? 0n) > 0n
        await countCollected(trx, isBlob ? 'blob' : 'copy', { count: 1, bytes: size })
      }),

    count: (kind, tally) => relaxed((trx) => countCollected(trx, kind, tally)),
    status: () => status(database.read),
    garbage: (after, limit) => garbage(database.read, after, limit),
    heldByTrash: (after, limit) => heldByTrash(database.read, after, limit),
    why: (digest, limit) => why(database.read, digest, limit),
    async rehearse({ id, plan, limit }) {
      const current = rehearsing?.id === id ? rehearsing : { id, ...createRehearsing(database.read, plan, limit) }
      rehearsing = current
      const rehearsal = await current.step()
      if (rehearsal !== undefined) rehearsing = undefined
      return rehearsal
    },
  }
}

const BUSY: Outcome = { kind: 'busy' }
const KEPT: Outcome = { kind: 'kept' }

function isDue(review: { since: number; freed: number }, { before, causes }: Due): boolean {
  return review.since <= before || causes.includes(causeOf(review.freed))
}

/** For as long as the row may go, and so must its holders' keys. */
const lockWholeBlob = statement((trx, { digest }: { digest: Digest }) =>
  trx.selectFrom('blobs').select('digest').where('digest', '=', digest).forUpdate(),
)
const removeDiscarded = statement((trx, { key }: { key: string }) =>
  trx.deleteFrom('discarded_objects').where('storage_key', '=', key).returning('kind'),
)
const removeMarked = statement((trx, { digest, key }: { digest: Digest; key: string }) =>
  trx.deleteFrom('blobs').where('digest', '=', digest).where('storage_key', '=', key).where('state', '=', 'deleting'),
)

interface Link {
  repositoryId: number
  digest: Digest
}

const lockBlobNow = statement((trx, { digest }: { digest: Digest }) =>
  trx.selectFrom('blobs').select('size').where('digest', '=', digest).forNoKeyUpdate().skipLocked(),
)
const lockRepositoryNow = statement((trx, { id }: { id: number }) =>
  trx.selectFrom('repositories').select('id').where('id', '=', id).forUpdate().skipLocked(),
)
const lockNamedNow = statement((trx, { id, name }: { id: number; name: string }) =>
  trx.selectFrom('repositories').select('id').where('id', '=', id).where('name', '=', name).forUpdate().skipLocked(),
)
const lockReview = statement((trx, { repositoryId, digest }: Link) =>
  trx
    .selectFrom('link_reviews')
    .select(['since', 'freed'])
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .forUpdate(),
)
const needOf = statement((trx, { repositoryId, digest }: Link) =>
  trx
    .selectFrom('manifest_blobs')
    .select('manifest_id')
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .limit(1),
)
/** The review of a link goes with the link (ON DELETE CASCADE). */
const removeLink = statement((trx, { repositoryId, digest }: Link) =>
  trx.deleteFrom('repository_blobs').where('repository_id', '=', repositoryId).where('digest', '=', digest),
)
const removeReview = statement((trx, { repositoryId, digest }: Link) =>
  trx.deleteFrom('link_reviews').where('repository_id', '=', repositoryId).where('digest', '=', digest),
)

async function takeLink(trx: Handle, { repositoryId, digest }: LinkCandidate, due: Due): Promise<Outcome> {
  const link: Link = { repositoryId, digest }
  if ((await lockBlobNow(trx, { digest })).rows.length === 0) return BUSY
  if ((await lockRepositoryNow(trx, { id: repositoryId })).rows.length === 0) return BUSY
  const [review] = (await lockReview(trx, link)).rows
  if (review === undefined || !isDue(review, due)) return KEPT
  if ((await needOf(trx, link)).rows.length > 0) {
    await removeReview(trx, link)
    return KEPT
  }
  await removeLink(trx, link)
  await countDeparture(trx, repositoryId, digest)
  const size = await discardUnheld(trx, digest, due.now)
  return { kind: 'taken', discarded: size === undefined ? [] : [{ digest, size }], freed: [] }
}

async function takeManifest(
  trx: Handle,
  manifest: ManifestCandidate,
  due: Due,
  destination: Destination,
): Promise<Outcome> {
  const { id, repositoryId, repository, digest } = manifest
  // Under another name than the one that the candidate was found by, memory would still answer for it.
  if ((await lockNamedNow(trx, { id: repositoryId, name: repository })).rows.length === 0) return BUSY
  const [review] = (await lockManifestReview(trx, { id, repositoryId, digest })).rows
  if (review === undefined || !isDue(review, due)) return KEPT
  if (await isNeeded(trx, manifest)) {
    await trx.deleteFrom('manifest_reviews').where('manifest_id', '=', id).execute()
    return KEPT
  }
  const change = { now: due.now, actor: COLLECTOR }
  const missed = await missedSince(trx, manifest)
  const deletedAt = later(burialTime(destination, review.since, due.now), missed)
  const grave = deletedAt === undefined ? undefined : ({ reason: 'collected', batch: undefined, deletedAt } as const)
  // What had this one alone to live for has waited as long: it goes in the same cycle.
  const { freed } = await bury(trx, { repositoryId, manifestId: id, change, grave, since: review.since })
  if (grave === undefined) await countCollected(trx, 'manifest', { count: 1, bytes: manifest.size })
  return { kind: 'taken', discarded: [], freed: [digest, ...freed], waitedSince: review.since }
}

/** Who deletes what nobody needs. */
const COLLECTOR = 'berth gc'

function burialTime(destination: Destination, since: number, now: number): number | undefined {
  if (destination.to === 'nowhere') return undefined
  const from = destination.from === 'now' ? now : since
  return from + destination.window <= now ? undefined : from
}

/** What the trash would miss is there as long as what would miss it. */
function later(time: number | undefined, missed: number | undefined): number | undefined {
  return time === undefined || missed === undefined ? (time ?? missed) : Math.max(time, missed)
}

/** Another manifest may have been given the id since the candidate was found. */
const lockManifestReview = statement((trx, { id, repositoryId, digest }: Link & { id: number }) =>
  trx
    .selectFrom('manifest_reviews')
    .select(['since', 'freed'])
    .where('manifest_id', '=', id)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('manifests')
          .select('manifests.id')
          .whereRef('manifests.id', '=', 'manifest_reviews.manifest_id')
          .where('manifests.repository_id', '=', repositoryId)
          .where('manifests.digest', '=', digest),
      ),
    )
    .forUpdate(),
)
const tagOf = statement((trx, { id }: { id: number }) =>
  trx.selectFrom('tags').select('name').where('manifest_id', '=', id).limit(1),
)
const parentOf = statement((trx, { id, repositoryId, digest }: Link & { id: number }) =>
  trx
    .selectFrom('manifest_references')
    .select('manifest_id')
    .where('digest', '=', digest)
    .where('repository_id', '=', repositoryId)
    .where('kind', '=', 'manifest')
    .where('manifest_id', '!=', id)
    .limit(1),
)
const subjectOf = statement((trx, { id }: { id: number }) =>
  trx
    .selectFrom('manifests as me')
    .innerJoin('manifests as subject', (join) =>
      join.onRef('subject.repository_id', '=', 'me.repository_id').onRef('subject.digest', '=', 'me.subject_digest'),
    )
    .select('subject.id')
    .where('me.id', '=', id)
    .whereRef('subject.id', '!=', 'me.id')
    .limit(1),
)

/** Whether a tag, an index or a subject of the repository needs the manifest; `tags aside`: one of the latter two. */
export async function isNeeded(
  trx: Handle,
  { id, repositoryId, digest }: Pick<ManifestCandidate, 'id' | 'repositoryId' | 'digest'>,
  what: 'by anything' | 'tags aside' = 'by anything',
): Promise<boolean> {
  const tags = what === 'tags aside' ? 0 : (await tagOf(trx, { id })).rows.length
  const parents = (await parentOf(trx, { id, repositoryId, digest })).rows.length
  const subjects = (await subjectOf(trx, { id })).rows.length
  return tags + parents + subjects > 0
}

const heldBy = statement((trx, { id }: { id: number }) =>
  trx
    .selectFrom('trash_references')
    .select('held_digest')
    .where('trash_id', '=', id)
    .where('held_digest', 'is not', null)
    .orderBy('held_digest'),
)
const lockBlob = statement((trx, { digest }: { digest: Digest }) =>
  trx.selectFrom('blobs').select('digest').where('digest', '=', digest).forNoKeyUpdate(),
)
const removeTrash = statement((trx, { id }: { id: number }) =>
  trx.deleteFrom('trash').where('id', '=', id).returning('size'),
)

async function purge(trx: Handle, { id, digest }: TrashCandidate, now: number): Promise<Outcome> {
  const held = (await heldBy(trx, { id })).rows
  const digests = held.flatMap(({ held_digest }) => held_digest ?? [])
  for (const each of digests) await lockBlob(trx, { digest: each })
  const hold = await lockSpare(trx, id)
  if (hold !== 'spare') return hold === 'held' ? BUSY : KEPT
  const [purged] = (await removeTrash(trx, { id })).rows
  if (purged === undefined) return KEPT
  const discarded: { digest: typeof digest; size: number }[] = []
  for (const each of digests) {
    const size = await discardUnheld(trx, each, now)
    if (size !== undefined) discarded.push({ digest: each, size })
  }
  await countCollected(trx, 'manifest', { count: 1, bytes: purged.size })
  return { kind: 'taken', discarded, freed: [] }
}
