import type {
  Collection,
  Destination,
  Due,
  LinkCandidate,
  ManifestCandidate,
  Outcome,
  Remains,
  Tally,
  TrashCandidate,
} from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { withFaults } from './faults.ts'
import type { Pace } from './pace.ts'

/**
 * Why a manifest that the purged one brought along stays: an index in the trash would come back without it; a tag or a manifest
 * needs it, or somebody pushed it since; another deletion left it; a push is at work there just now, and the collector takes it later.
 */
export type Keeping = 'named-in-trash' | 'in-use' | 'another-deletion' | 'busy'

/** What a purge of an image has taken. */
export interface PurgedImage {
  /** Gone for good: the one that was named, and what the same deletion took with it. */
  manifests: { digest: Digest; size: number }[]
  kept: { digest: Digest; why: Keeping }[]
  /** That nobody can reach any more. */
  blobs: Tally
  /** Those of them whose bytes are off the disk; the collector unlinks the others (a backup holds them, or the disk refused). */
  unlinked: Tally
}

/** Resolves to undefined when no deletion left anything under the digest. @throws RegistryError UNAVAILABLE */
export type PurgeImage = (repository: string, digest: Digest) => Promise<PurgedImage | undefined>

/** Tries of a step that found somebody else at work, and milliseconds before the second; each further one waits twice as long. */
const TRIES = 5
const PATIENCE = 10

/** What deletions freed, however short a time ago; what was uploaded, asked for, mounted or pushed since has another cause. */
const dueAt = (now: number): Due => ({ now, before: -1, causes: ['deleted'] })

/**
 * What a deletion left of a manifest goes for good: burials of it in the trash of its repository, itself where the deletion took
 * but its last tag, then its children and referrers that the same deletion took along; then the blobs that all of them held. Each
 * step is one of the collector's, with its rules; whatever ends the work in its middle, the collector goes on with what is left.
 */
export function createPurge(deps: {
  collection: Collection
  /** Of the blobs that it frees, those that somebody uploaded, asked for or mounted since it waits have no deletion for their cause. */
  takeManifest: (manifest: ManifestCandidate, due: Due, destination: Destination) => Promise<Outcome>
  takeLink: (link: LinkCandidate, due: Due) => Promise<Outcome>
  now: () => number
  isStopping: () => boolean
  pace: () => Pace
  /** Milliseconds. */
  sleep: (ms: number) => Promise<void>
  /** Takes a burial out of the trash. */
  takeBurial: (trash: TrashCandidate) => Promise<Outcome>
  /** Unlinks the bytes of blobs that are marked. */
  unlinkBlobs: (blobs: ReadonlyMap<Digest, number>, pace: Pace) => Promise<Tally>
}): PurgeImage {
  const { collection, now, isStopping, sleep, takeBurial, unlinkBlobs } = deps

  /** Somebody else at work (a push, another collector) is done in a moment. */
  async function insisting(step: () => Promise<Outcome>): Promise<Outcome> {
    let outcome = await step()
    for (let tries = 1, wait = PATIENCE; outcome.kind === 'busy' && tries < TRIES; tries++, wait *= 2) {
      await sleep(wait)
      outcome = await step()
    }
    return outcome
  }

  return (repository, digest) =>
    withFaults(async () => {
      const pace = deps.pace()
      const gone = new Map<Digest, number>()
      const kept = new Map<Digest, Keeping>()
      const links = new Map<Digest, LinkCandidate>()
      const discarded = new Map<Digest, number>()
      // How a dependant is known to have gone with the same deletion.
      const times = new Set<number>()
      const batches = new Set<string>()

      const add = (outcome: Outcome) => {
        if (outcome.kind === 'taken') for (const blob of outcome.discarded) discarded.set(blob.digest, blob.size)
      }

      const isOurs = ({ reason, batch }: Remains['burials'][number]) =>
        reason === 'collected' || (batch !== undefined && batches.has(batch))

      /** Resolves to why it stays, where it does. */
      async function takeManifest(found: Remains): Promise<Keeping | undefined> {
        const { manifest, freedAt } = found
        if (manifest === undefined || freedAt === undefined) return undefined
        const { repositoryId } = manifest
        const due = dueAt(now())
        const outcome = await insisting(() => pace.turn(() => deps.takeManifest(manifest, due, { to: 'nowhere' })))
        if (outcome.kind !== 'taken') return outcome.kind === 'busy' ? 'busy' : 'in-use'
        for (const freed of outcome.freed) {
          if (freed === manifest.digest) continue
          links.set(freed, { kind: 'link', repositoryId, repository, digest: freed, attempts: 0 })
        }
        return undefined
      }

      /** What is left of one digest. Resolves to those that hang on it, where all of it went. */
      async function take(each: Digest): Promise<Digest[]> {
        const isNamed = each === digest
        const before = await collection.remains(repository, each)
        if (before === undefined) return []
        const { freedAt, dependants } = before
        const isTaken = freedAt !== undefined && (isNamed || times.has(freedAt))
        const stays = isTaken ? await takeManifest(before) : undefined
        // It may have gone to the trash, which has an index that names it.
        const after = isTaken ? await collection.remains(repository, each) : before
        const burials = (after?.burials ?? []).filter((burial) => isNamed || isOurs(burial))
        const held: Digest[] = []
        let went = isTaken && stays === undefined && after?.manifest === undefined
        for (const { trash, batch, deletedAt } of burials) {
          for (const link of (await collection.buried(trash.id))?.links ?? []) links.set(link.digest, link)
          const outcome = await pace.turn(() => takeBurial(trash))
          add(outcome)
          if (outcome.kind === 'busy') held.push(each)
          if (outcome.kind !== 'taken') continue
          went = true
          times.add(deletedAt)
          if (batch !== undefined) batches.add(batch)
        }
        if (held.length > 0) {
          kept.set(each, 'named-in-trash')
          return []
        }
        if (went) {
          if (freedAt !== undefined) times.add(freedAt)
          gone.set(each, before.manifest?.size ?? before.burials[0]?.trash.size ?? 0)
          kept.delete(each)
          if (after?.manifest === undefined) return dependants
          // Pushed again since: what it names is in use.
          kept.set(each, 'in-use')
          return []
        }
        if (stays !== undefined) kept.set(each, stays)
        else if (before.manifest !== undefined) kept.set(each, freedAt === undefined ? 'in-use' : 'another-deletion')
        // The one that was named is restored meanwhile, or another purge was quicker.
        else if (before.burials.length > 0) kept.set(each, isNamed ? 'in-use' : 'another-deletion')
        return []
      }

      const seen = new Set<Digest>([digest])
      // An index goes before what it names; one that another index held back is tried again after that.
      for (let waiting = [digest]; waiting.length > 0; ) {
        const before = gone.size
        const next: Digest[] = []
        for (const each of waiting) {
          if (isStopping() && each !== digest) break
          for (const one of await take(each)) {
            if (seen.has(one)) continue
            seen.add(one)
            next.push(one)
          }
        }
        const again = [...kept].filter(([, why]) => why === 'named-in-trash').map(([each]) => each)
        waiting = gone.size === before ? [] : [...next, ...again]
      }
      if (!gone.has(digest) && (!kept.has(digest) || kept.get(digest) === 'in-use')) return undefined

      for (const link of links.values()) {
        if (isStopping()) break
        add(await insisting(() => pace.turn(() => deps.takeLink(link, dueAt(now())))))
      }
      const unlinked = await unlinkBlobs(discarded, pace)
      return {
        manifests: [...gone].map(([each, size]) => ({ digest: each, size })),
        kept: [...kept].map(([each, why]) => ({ digest: each, why })),
        blobs: { count: discarded.size, bytes: [...discarded.values()].reduce((sum, size) => sum + size, 0) },
        unlinked,
      }
    })
}
