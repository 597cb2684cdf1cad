import { candidates } from './collection-queue.ts'
import type { Database, Handle } from './database.ts'
import type {
  Destination,
  Due,
  LinkCandidate,
  ManifestCandidate,
  Outcome,
  Rehearsal,
  RehearsalPlan,
  TrashCandidate,
} from './metadata.ts'

interface Steps {
  takeLink(trx: Handle, link: LinkCandidate, due: Due): Promise<Outcome>
  takeManifest(trx: Handle, manifest: ManifestCandidate, due: Due, destination: Destination): Promise<Outcome>
  purge(trx: Handle, trash: TrashCandidate, now: number): Promise<Outcome>
}

/** Carries its result through the undoing of the transaction. */
class Undone extends Error {
  readonly rehearsal: Rehearsal

  constructor(rehearsal: Rehearsal) {
    super('a rehearsal is undone')
    this.rehearsal = rehearsal
  }
}

/**
 * The steps themselves, in one transaction that is undone: what they would take is exactly what they find here. Bounded,
 * for everybody else who writes waits.
 */
export async function rehearse(
  database: Database,
  plan: RehearsalPlan,
  limit: number,
  steps: Steps,
): Promise<Rehearsal> {
  try {
    return await database.transaction(
      async (trx): Promise<Rehearsal> => {
        throw new Undone(await run(trx, plan, limit, steps))
      },
      { durable: false },
    )
  } catch (error) {
    if (error instanceof Undone) return error.rehearsal
    throw error
  }
}

async function run(trx: Handle, plan: RehearsalPlan, limit: number, steps: Steps): Promise<Rehearsal> {
  const queue = candidates({ read: trx, transaction: () => Promise.reject(new Error('nothing is put off here')) })
  const rehearsal: Rehearsal = { manifests: [], blobs: [], complete: true }
  let left = limit

  /** Until no candidate moves any more. */
  async function all<C>(find: (limit: number) => Promise<C[]>, take: (candidate: C) => Promise<Outcome>) {
    for (;;) {
      const found = await find(Math.min(left, PORTION))
      for (const candidate of found) {
        left--
        const outcome = await take(candidate)
        if (outcome.kind === 'taken') rehearsal.blobs.push(...outcome.discarded)
      }
      // What was looked at is gone from its queue, taken or not.
      if (found.length === 0) return
      if (left <= 0) {
        rehearsal.complete = false
        return
      }
    }
  }

  const { trashBefore, manifests, links } = plan
  const { now } = links
  if (trashBefore !== undefined) {
    await all(
      (count) => queue.trash(trashBefore, now, count),
      (trash) => steps.purge(trx, trash, now),
    )
  }
  if (manifests !== undefined) {
    await all(
      (count) => queue.manifests(manifests.due, count),
      async (manifest) => {
        const outcome = await steps.takeManifest(trx, manifest, manifests.due, manifests.destination)
        if (outcome.kind === 'taken') rehearsal.manifests.push(manifest)
        return outcome
      },
    )
  }
  await all(
    (count) => queue.links(links, count),
    (link) => steps.takeLink(trx, link, links),
  )
  rehearsal.manifests = rehearsal.manifests.map(({ repository, digest, size }) => ({ repository, digest, size }))
  return rehearsal
}

const PORTION = 200
