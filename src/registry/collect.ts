import type {
  Candidate,
  Destination,
  Due,
  LinkCandidate,
  ManifestCandidate,
  Metadata,
  ObjectCandidate,
  Outcome,
  RehearsalPlan,
  Tally,
  TrashCandidate,
} from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { Storage } from '../storage/storage.ts'
import type { Blobs } from './blobs.ts'
import { createTotals, type Totals } from './collect-totals.ts'
import type { Manifests } from './manifests.ts'
import {
  AWAITED,
  CLOCK,
  createPaces,
  createTraffic,
  GROWING,
  HURRIED,
  type Pace,
  type PaceClock,
  type Traffic,
} from './pace.ts'
import { createPurge, type PurgeImage } from './purge.ts'

/** How long things wait for the collector. Milliseconds. */
export interface CollectionTerms {
  /** Blobs that nothing needs, from when they were last needed, uploaded, asked for or mounted. */
  delay: number
  /** Manifests without a tag, from when they lost the last one (or were pushed). */
  untagged: 'keep' | number
  /** Manifests in the trash, from when they were deleted. */
  window: number
  /** Candidates that are looked at side by side while clients are served; more while they are not. */
  workers: number
}

/** What a cycle may take besides what is due. */
export interface CollectionMode {
  /** What a deletion freed, without its window and delays, unless somebody uploaded, asked for or mounted it since. */
  immediately: boolean
  /** Untagged manifests, whatever the terms say of them. */
  untagged: boolean
}

/** What is told while it happens. */
export interface CollectionEvents {
  /** An untagged one is taken, or one leaves the trash for good. */
  manifest?(taken: { repository: string; digest: Digest; size: number }): void
  /** Its row says `deleting`; its bytes go next. */
  blob?(taken: { digest: Digest; size: number }): void
  unlinked?(object: { digest: Digest; size: number }): void
  failed?(candidate: Candidate, error: unknown): void
}

export interface Collector {
  /** Takes all that may be taken now. @throws MetadataError when the database does not work. */
  cycle(mode: CollectionMode, events?: CollectionEvents): Promise<Totals>
  /** What a cycle would do to what waits now, without doing it. */
  plan(mode: CollectionMode): RehearsalPlan
  /** Takes one manifest out of the trash, and at once what its deletion freed and nobody touched since. */
  purge(trashId: number): Promise<Purged>
  /** Takes what a deletion left of an image for good, with what it freed and nobody touched since. */
  purgeImage: PurgeImage
  /**
   * Takes manifests out of the trash, the oldest first, as long as `isShort` says so. Resolves to how many. None while a
   * backup holds their bytes: the trash would be emptied, and no space freed.
   */
  relieve(isShort: () => Promise<boolean>, events?: CollectionEvents): Promise<number>
}

/** `unknown`: it is not in the trash. `held`: an index there names it, and would come back without it. */
export type Purged = 'purged' | 'unknown' | 'held'

/** Milliseconds for which what nothing ever needed is left alone, whatever a hurried cycle asks for. */
const HOUR = 3_600_000
/** Turns in one while nobody is served: whoever comes then waits for it once, some milliseconds. */
const QUIET_TURN = 4
/** Candidates that one look brings. */
const PORTION = 100
const FIRST_RETRY = 5 * 60_000
const LAST_RETRY = 24 * HOUR

/** What the steps of one cycle have in common. */
interface Cycle {
  pace: Pace
  events: CollectionEvents
}

const NO_HURRY: CollectionMode = { immediately: false, untagged: false }

/**
 * Online garbage collection. Each candidate is decided in one short transaction of the database, where pushes and mounts
 * meet it; nothing else is held meanwhile. Blobs go in three steps: a mark that makes them invisible, the unlinking, the
 * removal of the row; a crash between any two leaves a mark that the next cycle finds. Marks are synced once for all that are
 * unlinked together. Between two turns, clients have the disk and the database for themselves (see `createPaces`).
 */
export function createCollector(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Pick<Blobs, 'collecting' | 'forget' | 'wasAskedFor'>
  manifests: Pick<Manifests, 'collecting'>
  terms: () => CollectionTerms
  now: () => number
  /** A cycle ends after the candidates that it has in hand. */
  isStopping?: () => boolean
  /** Whether a backup runs: nothing is unlinked then, for its snapshot may name what was marked since. */
  isHeld?: () => boolean
  /** Clients that are served meanwhile, who must not notice. */
  traffic?: Traffic
  clock?: PaceClock
}): Collector {
  const { metadata, storage, blobs, manifests, terms, now, isStopping = () => false, isHeld = () => false } = deps
  const { traffic = createTraffic(), clock = CLOCK } = deps
  const { collection } = metadata
  const paceOf = createPaces(traffic, clock)

  function plan({ immediately, untagged }: CollectionMode): RehearsalPlan {
    const { delay, untagged: age, window } = terms()
    const time = now()
    const young = time - HOUR
    const links: Due = immediately
      ? { now: time, before: Math.min(time - delay, young), causes: ['deleted'] }
      : { now: time, before: time - delay, causes: [] }
    const destination: Destination = immediately
      ? { to: 'nowhere' }
      : { to: 'trash', from: untagged ? 'now' : 'since', window }
    const trashBefore = immediately ? time : time - window
    if (untagged) {
      const due: Due = { now: time, before: young, causes: ['deleted', 'overwritten'] }
      return { trashBefore, manifests: { due, destination }, links }
    }
    if (age === 'keep') return { trashBefore, manifests: undefined, links }
    const due: Due = immediately
      ? { now: time, before: Math.min(time - age, young), causes: ['deleted'] }
      : { now: time, before: time - age, causes: [] }
    return { trashBefore, manifests: { due, destination }, links }
  }

  /** Looks at candidates, a few in a turn, until there are none, or others have all that are left. */
  async function exhaust<C extends Candidate>(
    { pace, events }: Cycle,
    find: () => Promise<C[]>,
    take: (candidate: C) => Promise<Outcome>,
    {
      before = async () => {},
      after = async () => {},
    }: { before?: () => Promise<void>; after?: () => Promise<void> } = {},
  ): Promise<void> {
    while (!isStopping()) {
      const found = await pace.turn(find)
      if (found.length > 0) await before()
      let busy = 0
      const each = async (candidate: C) => {
        if ((await attempt(candidate, take, events)).kind === 'busy') busy++
      }
      for (let start = 0; start < found.length && !isStopping(); ) {
        const turn = found.slice(start, start + terms().workers * (pace.isQuiet() ? QUIET_TURN : 1))
        await pace.turn(() => Promise.all(turn.map(each)))
        start += turn.length
      }
      await after()
      if (found.length === busy) return
    }
  }

  async function attempt<C extends Candidate>(
    candidate: C,
    take: (candidate: C) => Promise<Outcome>,
    events: CollectionEvents,
  ): Promise<Outcome> {
    try {
      return await take(candidate)
    } catch (error) {
      events.failed?.(candidate, error)
      await collection.postpone(candidate, now() + Math.min(FIRST_RETRY * 2 ** candidate.attempts, LAST_RETRY))
      return { kind: 'kept' }
    }
  }

  async function unlink(object: ObjectCandidate): Promise<Outcome> {
    return await blobs.collecting(object.digest, async () => {
      // Another lane may have been here, and the key may be somebody else's by now.
      if (!(await metadata.blobs.discarded(object.digest)).includes(object.key)) return { kind: 'kept' }
      if (isHeld()) return { kind: 'busy' }
      await storage.delete(object.key)
      await collection.forget(object)
      return { kind: 'taken', discarded: [], freed: [] }
    })
  }

  async function unlinkAll(cycle: Cycle): Promise<void> {
    if (isHeld()) return
    const time = now()
    await exhaust<ObjectCandidate>(
      cycle,
      () => collection.objects(time, PORTION),
      async (object) => {
        const outcome = await unlink(object)
        if (outcome.kind === 'taken') cycle.events.unlinked?.(object)
        return outcome
      },
      // A row that a power cut brings back must have its bytes.
      { before: () => cycle.pace.turn(() => collection.sync()) },
    )
  }

  /** Of blobs that are marked, by size: what a request waits for shall not be all that waits to be unlinked. */
  async function unlinkBlobs(marked: ReadonlyMap<Digest, number>, pace: Pace): Promise<Tally> {
    const done: Tally = { count: 0, bytes: 0 }
    if (marked.size === 0 || isHeld()) return done
    // A row that a power cut brings back must have its bytes.
    await pace.turn(() => collection.sync())
    for (const [digest, size] of marked) {
      if (isStopping()) break
      for (const key of await metadata.blobs.discarded(digest)) {
        const object: ObjectCandidate = { kind: 'object', key, digest, size, attempts: 0 }
        await pace.turn(() => attempt(object, unlink, {}))
      }
      // Whoever unlinked it: a cycle may have been quicker.
      if ((await metadata.blobs.discarded(digest)).length > 0) continue
      done.count++
      done.bytes += size
    }
    return done
  }

  /**
   * A HEAD of a blob that a manifest without a tag still needs is written down nowhere but in memory: where that manifest goes,
   * whoever asked since its last tag went counts on the blob, which waits anew then. (An upload or a mount is in the blob's link.)
   */
  async function spare(repository: string, freed: readonly Digest[], since: number): Promise<void> {
    const wanted = freed.filter((each) => {
      const isWanted = blobs.wasAskedFor(repository, each, since)
      blobs.forget(each)
      return isWanted
    })
    for (const each of wanted) await metadata.blobs.touch(repository, each, now())
  }

  /** Manifests that went, and whose blobs are not spared yet: no link goes meanwhile, whoever else is at work. */
  const sparing = new Set<Promise<unknown>>()

  async function takeManifest(manifest: ManifestCandidate, due: Due, destination: Destination): Promise<Outcome> {
    const { repository, digest } = manifest
    const taking = manifests.collecting(repository, digest, async () => {
      const outcome = await collection.takeManifest(manifest, due, destination)
      if (outcome.kind === 'taken') {
        await spare(repository, outcome.freed, outcome.waitedSince ?? Number.NEGATIVE_INFINITY)
      }
      return outcome
    })
    const ended = taking.then(
      () => {},
      () => {},
    )
    sparing.add(ended)
    try {
      return await taking
    } finally {
      sparing.delete(ended)
    }
  }

  async function takeLink(link: LinkCandidate, due: Due): Promise<Outcome> {
    return await blobs.collecting(link.digest, async () => {
      while (sparing.size > 0) await Promise.all(sparing)
      return await collection.takeLink(link, due)
    })
  }

  async function purge(trash: TrashCandidate, events: CollectionEvents): Promise<Outcome> {
    const outcome = await collection.purge(trash, now())
    if (outcome.kind !== 'taken') return outcome
    events.manifest?.(trash)
    for (const blob of outcome.discarded) events.blob?.(blob)
    return outcome
  }

  return {
    plan,

    async cycle(mode = NO_HURRY, given = {}) {
      const { totals, events } = createTotals(given)
      const cycle: Cycle = { events, pace: paceOf(mode.immediately ? HURRIED : GROWING) }
      // First: the clock was looked at a moment ago, and may be set while much is unlinked.
      const { trashBefore, manifests: untagged, links } = plan(mode)
      // Of a cycle that a crash ended.
      await unlinkAll(cycle)
      // Before its children, which a restored index would lack.
      if (trashBefore !== undefined) {
        await exhaust<TrashCandidate>(
          cycle,
          () => collection.trash(trashBefore, links.now, PORTION),
          (trash) => purge(trash, events),
        )
      }
      if (untagged !== undefined) {
        await exhaust<ManifestCandidate>(
          cycle,
          () => collection.manifests(untagged.due, PORTION),
          async (manifest) => {
            const outcome = await takeManifest(manifest, untagged.due, untagged.destination)
            if (outcome.kind !== 'taken') return outcome
            events.manifest?.(manifest)
            return outcome
          },
        )
      }
      await exhaust<LinkCandidate>(
        cycle,
        () => collection.links(links, PORTION),
        async (link) => {
          const outcome = await takeLink(link, links)
          if (outcome.kind === 'taken') for (const blob of outcome.discarded) events.blob?.(blob)
          return outcome
        },
        // However much there is: space comes back from the beginning.
        { after: () => unlinkAll(cycle) },
      )
      await unlinkAll(cycle)
      return totals
    },

    async purge(trashId) {
      const { events } = createTotals({})
      const found = await collection.buried(trashId)
      if (found === undefined) return 'unknown'
      const { kind } = await purge(found.trash, events)
      if (kind !== 'taken') return kind === 'busy' ? 'held' : 'unknown'
      const due: Due = { now: now(), before: -1, causes: ['deleted'] }
      for (const link of found.links) await takeLink(link, due)
      await unlinkAll({ events, pace: paceOf(AWAITED) })
      return 'purged'
    },

    purgeImage: createPurge({
      ...{ collection, takeManifest, takeLink, now, isStopping, unlinkBlobs },
      pace: () => paceOf(AWAITED),
      sleep: clock.sleep,
      takeBurial: (trash) => purge(trash, {}),
    }),

    async relieve(isShort, given = {}) {
      const { events } = createTotals(given)
      const cycle: Cycle = { events, pace: paceOf(HURRIED) }
      let purged = 0
      while (!isStopping() && !isHeld() && (await isShort())) {
        const found = await collection.trash(Number.MAX_SAFE_INTEGER, now(), RELIEF)
        let taken = 0
        for (const trash of found) {
          const { kind } = await cycle.pace.turn(() => attempt(trash, (each) => purge(each, events), events))
          if (kind === 'taken') taken++
        }
        purged += taken
        if (taken === 0) break
        await unlinkAll(cycle)
      }
      return purged
    },
  }
}

/** Manifests between two looks at the free space. */
const RELIEF = 10
