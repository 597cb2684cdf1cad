import type { Digest } from '../oci/digest.ts'
import { candidates } from './collection-queue.ts'
import type { Handle } from './database.ts'
import { indexEdges } from './index-edges.ts'
import { manifestIdOf } from './manifests.ts'
import type { Due, Rehearsal, RehearsalPlan } from './metadata.ts'
import { causeOf } from './reviews.ts'
import { isSpare } from './trash-holds.ts'

/**
 * What a cycle would come to, without a change: its steps are thought through one candidate after the other, with what the
 * ones before would have taken away in memory. `step` looks at a few; while it is not done, others have the database.
 */
export interface Rehearsing {
  /** Undefined: there is more to look at. */
  step(): Promise<Rehearsal | undefined>
}

/** Candidates of a step. */
const PORTION = 20

interface Buried {
  id: number
  repositoryId: number
  repository: string
  digest: Digest
  size: number
}
interface Untagged {
  id: number
  /** Undefined: as its review says. */
  since: number | undefined
}
interface Link {
  repositoryId: number
  digest: Digest
}

export function createRehearsing(read: Handle, plan: RehearsalPlan, limit: number): Rehearsing {
  const { trashBefore, manifests: untagged, links } = plan
  const queue = candidates({ read, transaction: () => Promise.reject(new Error('nothing is put off here')) })
  const rehearsal: Rehearsal = { manifests: [], blobs: [], complete: true }
  const purged = new Set<number>()
  /** Manifests that are gone, and those of them that the trash has instead. */
  const gone = new Set<number>()
  const interred = new Set<number>()
  const unlinked = new Set<string>()
  const freedLinks: Link[] = []
  /** Blobs, with how many of their holders are gone; and those that the trash holds from now on. */
  const holders = new Map<Digest, number>()
  const kept = new Set<Digest>()
  let left = limit

  const release = (digest: Digest) => holders.set(digest, (holders.get(digest) ?? 0) + 1)

  /** A queue that is looked at from its beginning; what is added is looked at, too. Gives way after each portion. */
  async function* portions<C>(items: C[], look: (item: C) => Promise<void>): AsyncGenerator<void> {
    for (let index = 0; index < items.length; index++) {
      const item = items[index]
      if (item === undefined) continue
      if (left-- <= 0) {
        rehearsal.complete = false
        return
      }
      await look(item)
      if (index % PORTION === PORTION - 1) yield
    }
  }

  async function* all(): AsyncGenerator<void> {
    if (trashBefore !== undefined) {
      let waiting = await inTrash(read, trashBefore, links.now, limit + 1)
      yield
      // A child may lie before its index.
      for (let before = -1; before !== waiting.length && waiting.length > 0; ) {
        const held: Buried[] = []
        yield* portions(waiting, async (buried) => {
          if (!(await lookAtBuried(buried))) held.push(buried)
        })
        before = waiting.length
        waiting = held
        left += held.length
      }
    }
    if (untagged !== undefined) {
      const found = await queue.manifests(untagged.due, limit + 1)
      const waiting: Untagged[] = found.map(({ id }) => ({ id, since: undefined }))
      yield
      yield* portions(waiting, async (manifest) => {
        waiting.push(...(await lookAtUntagged(manifest, untagged)))
      })
    }
    const found: Link[] = await queue.links(links, limit + 1)
    yield
    if (isDue({ since: links.now, freed: 'deleted' }, links)) found.push(...freedLinks)
    yield* portions(found, lookAtLink)
    let count = 0
    for (const [digest, taken] of holders) {
      if (!kept.has(digest)) await lookAtBlob(digest, taken)
      if (++count % PORTION === 0) yield
    }
  }

  /** False: an index in the trash names it. */
  async function lookAtBuried({ id, repositoryId, repository, digest, size }: Buried): Promise<boolean> {
    const spare = await read.selectFrom('trash').select('id').where('id', '=', id).where(isSpare).executeTakeFirst()
    if (spare === undefined && (await indexesInTrash(read, repositoryId, digest)).some((above) => !purged.has(above)))
      return false
    purged.add(id)
    rehearsal.manifests.push({ repository, digest, size })
    const held = await read.selectFrom('trash_references').select('held_digest').where('trash_id', '=', id).execute()
    for (const { held_digest } of held) if (held_digest !== null) release(held_digest)
    return true
  }

  /** Resolves to what has nothing else to live for. */
  async function lookAtUntagged(
    { id, since }: Untagged,
    { due, destination }: NonNullable<RehearsalPlan['manifests']>,
  ): Promise<Untagged[]> {
    if (gone.has(id)) return []
    const row = await manifestOf(read, id)
    const review = row && reviewOf(row, since)
    if (row === undefined || review === undefined || !isDue(review, due)) return []
    const above = await whatNeeds(read, row, gone.size + 1)
    if (above.isTagged || above.ids.some((one) => !gone.has(one))) return []
    gone.add(id)
    const { repository_id: repositoryId, digest } = row
    rehearsal.manifests.push({ repository: row.name, digest, size: row.size })
    const inTrash = [
      ...(await indexesInTrash(read, repositoryId, digest)),
      ...(row.subject_digest === null ? [] : await burialsOf(read, repositoryId, row.subject_digest)),
    ]
    const isMissed = above.ids.some((one) => interred.has(one)) || inTrash.some((one) => !purged.has(one))
    const from = destination.to === 'trash' && destination.from === 'since' ? review.since : due.now
    const isKept = isMissed || (destination.to === 'trash' && from + destination.window > due.now)
    if (isKept) interred.add(id)
    const blobs = await read.selectFrom('manifest_blobs').select('digest').where('manifest_id', '=', id).execute()
    for (const blob of blobs) {
      if (isKept) kept.add(blob.digest)
      const link = { repositoryId, digest: blob.digest }
      if (!(await isLinkNeeded(link))) freedLinks.push(link)
    }
    const children = (await indexEdges(read, 'above', [id])).map(({ below }) => below)
    const referrers = await read
      .selectFrom('manifests')
      .select('id')
      .where('repository_id', '=', repositoryId)
      .where('subject_digest', '=', digest)
      .execute()
    return [...children, ...referrers.map((one) => one.id)].map((one) => ({ id: one, since: review.since }))
  }

  async function isLinkNeeded({ repositoryId, digest }: Link): Promise<boolean> {
    const rows = await read
      .selectFrom('manifest_blobs')
      .select('manifest_id')
      .where('repository_id', '=', repositoryId)
      .where('digest', '=', digest)
      .limit(gone.size + 1)
      .execute()
    return rows.some(({ manifest_id }) => !gone.has(manifest_id))
  }

  async function lookAtLink(link: Link): Promise<void> {
    const key = `${link.repositoryId} ${link.digest}`
    if (unlinked.has(key) || (await isLinkNeeded(link))) return
    unlinked.add(key)
    release(link.digest)
  }

  /** All of its holders are gone when it has no more than were taken. */
  async function lookAtBlob(digest: Digest, taken: number): Promise<void> {
    const linked = await read
      .selectFrom('repository_blobs')
      .select('repository_id')
      .where('digest', '=', digest)
      .limit(taken + 1)
      .execute()
    const held = await read
      .selectFrom('trash_references')
      .select('trash_id')
      .where('held_digest', '=', digest)
      .limit(taken + 1)
      .execute()
    if (linked.length + held.length > taken) return
    const blob = await read
      .selectFrom('blobs')
      .select('size')
      .where('digest', '=', digest)
      .where('state', '!=', 'deleting')
      .executeTakeFirst()
    if (blob !== undefined) rehearsal.blobs.push({ digest, size: blob.size })
  }

  const steps = all()
  return {
    async step() {
      return (await steps.next()).done === true ? rehearsal : undefined
    },
  }
}

interface Review {
  since: number
  freed: ReturnType<typeof causeOf>
}

function isDue({ since, freed }: Review, { before, causes }: Due): boolean {
  return since <= before || causes.includes(freed)
}

/** What went with its index or subject waits as long as that did, unless it waits since later by itself. */
function reviewOf(row: { since: number | null; freed: number | null }, since: number | undefined): Review | undefined {
  const own = row.since === null ? undefined : { since: row.since, freed: causeOf(row.freed ?? 0) }
  if (since === undefined || (own !== undefined && own.since > since)) return own
  return { since, freed: 'deleted' }
}

async function inTrash(read: Handle, before: number, now: number, limit: number): Promise<Buried[]> {
  const rows = await read
    .selectFrom('trash')
    .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
    .select(['trash.id', 'repository_id as repositoryId', 'repositories.name as repository', 'digest', 'size'])
    .where('deleted_at', '<=', before)
    .where('not_before', '<=', now)
    .orderBy('deleted_at')
    .orderBy('trash.id')
    .limit(limit)
    .execute()
  return rows
}

async function indexesInTrash(read: Handle, repositoryId: number, digest: Digest): Promise<number[]> {
  const rows = await read
    .selectFrom('trash_references')
    .innerJoin('trash', 'trash.id', 'trash_references.trash_id')
    .select('trash.id')
    .where('trash_references.digest', '=', digest)
    .where('trash_references.kind', '=', 'manifest')
    .where('trash_references.held_digest', 'is', null)
    .where('trash.repository_id', '=', repositoryId)
    .execute()
  return rows.map(({ id }) => id)
}

async function burialsOf(read: Handle, repositoryId: number, digest: Digest): Promise<number[]> {
  const rows = await read
    .selectFrom('trash')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .execute()
  return rows.map(({ id }) => id)
}

async function manifestOf(read: Handle, id: number) {
  return await read
    .selectFrom('manifests')
    .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
    .leftJoin('manifest_reviews', 'manifest_reviews.manifest_id', 'manifests.id')
    .select(['repository_id', 'digest', 'size', 'subject_digest', 'repositories.name', 'since', 'freed'])
    .select('manifests.id')
    .where('manifests.id', '=', id)
    .executeTakeFirst()
}

/** Indexes that name it, at most so many, and its subject. */
async function whatNeeds(
  read: Handle,
  manifest: { id: number; repository_id: number; digest: Digest; subject_digest: Digest | null },
  limit: number,
): Promise<{ isTagged: boolean; ids: number[] }> {
  const { id, repository_id: repositoryId, digest, subject_digest: subject } = manifest
  const tag = await read.selectFrom('tags').select('name').where('manifest_id', '=', id).limit(1).executeTakeFirst()
  const indexes = await read
    .selectFrom('manifest_references')
    .select('manifest_id as id')
    .where('digest', '=', digest)
    .where('repository_id', '=', repositoryId)
    .where('kind', '=', 'manifest')
    .where('manifest_id', '!=', id)
    .limit(limit)
    .execute()
  const above = subject === null ? undefined : await manifestIdOf(read, repositoryId, subject)
  const subjects = above === undefined || above === id ? [] : [above]
  return { isTagged: tag !== undefined, ids: [...indexes.map((row) => row.id), ...subjects] }
}
