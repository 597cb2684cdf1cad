import type { CollectionStatus, Metadata, Tally, UnneededPortion, Why } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { CollectionMode, CollectionTerms, Collector, Purged } from './collect.ts'
import { createTotals } from './collect-totals.ts'

/** A cycle that somebody asked for, with what it has taken so far (or, as a rehearsal, would take). */
export interface CollectionRun {
  id: string
  mode: CollectionMode & { dryRun: boolean }
  state: 'running' | 'done' | 'failed'
  /** Milliseconds since the epoch. */
  startedAt: number
  endedAt: number | undefined
  manifests: Tally
  blobs: Tally
  /** Bytes that are off the disk. */
  unlinked: Tally
  failures: number
  /** The first of each. */
  listed: {
    manifests: { repository: string; digest: Digest; size: number }[]
    blobs: { digest: Digest; size: number }[]
  }
  /** False: a rehearsal that ended before all candidates were tried. */
  complete: boolean
  /** Why it failed. */
  error: string | undefined
}

export interface CollectionState extends CollectionStatus {
  terms: CollectionTerms
  latest: CollectionRun | undefined
  /** Blobs that only links hold which no manifest needs: they go when their delay ends. */
  garbage: Tally & Walked
  /** Manifests in the trash; the bytes are their own, and those of blobs that only the trash keeps. */
  trash: CollectionStatus['trash'] & Walked
}

interface Walked {
  /** False: there is more than was looked at (`LOOKED`), so that this is the least that there is. */
  complete: boolean
}

export interface CollectionRuns {
  /** Begins one, or answers with undefined while another is under way. */
  start(mode: CollectionRun['mode']): CollectionRun | undefined
  /** The one under way, or the last one since the program began. */
  latest(): CollectionRun | undefined
  status(): Promise<CollectionState>
  why(digest: Digest): Promise<Why>
  /** When the run under way has ended. */
  idle(): Promise<void>
  /** Takes one manifest out of the trash, with what only it needs. */
  purge(trashId: number): Promise<Purged>
}

/** Rows that a run remembers of each kind. */
const LISTED = 10_000
/** Candidates of a rehearsal, which memory holds. */
const REHEARSED = 5_000
const REASONS = 20
/** Candidates that a status looks at, in portions between which others have their turn. */
const LOOKED = 10_000
const LOOK = 500

export function createCollectionRuns(deps: {
  metadata: Metadata
  collector: Collector
  terms: () => CollectionTerms
  now: () => number
  newId: () => string
  /** Of a cycle that failed, or a candidate that was put off. */
  onFailure: (error: unknown) => void
}): CollectionRuns {
  const { metadata, collector, terms, now, newId, onFailure } = deps
  let latest: CollectionRun | undefined
  let running = Promise.resolve()

  async function perform(run: CollectionRun): Promise<void> {
    if (run.mode.dryRun) {
      const rehearsal = { id: run.id, plan: collector.plan(run.mode), limit: REHEARSED }
      let found = await metadata.collection.rehearse(rehearsal)
      while (found === undefined) found = await metadata.collection.rehearse(rehearsal)
      for (const manifest of found.manifests) add(run.manifests, manifest.size)
      for (const blob of found.blobs) add(run.blobs, blob.size)
      run.listed = { manifests: found.manifests.slice(0, LISTED), blobs: found.blobs.slice(0, LISTED) }
      run.complete = found.complete
      return
    }
    const { events, totals } = createTotals({
      manifest({ repository, digest, size }) {
        if (run.listed.manifests.length < LISTED) run.listed.manifests.push({ repository, digest, size })
      },
      blob({ digest, size }) {
        if (run.listed.blobs.length < LISTED) run.listed.blobs.push({ digest, size })
      },
      failed: (_, error) => onFailure(error),
    })
    Object.assign(run, { manifests: totals.manifests, blobs: totals.blobs, unlinked: totals.unlinked })
    await collector.cycle(run.mode, events)
    run.failures = totals.failures
  }

  return {
    start(mode) {
      if (latest?.state === 'running') return undefined
      const none = () => ({ count: 0, bytes: 0 })
      const run: CollectionRun = {
        ...{ id: newId(), mode, state: 'running', startedAt: now(), endedAt: undefined, failures: 0 },
        ...{ manifests: none(), blobs: none(), unlinked: none(), listed: { manifests: [], blobs: [] } },
        ...{ complete: true, error: undefined },
      }
      latest = run
      running = perform(run).then(
        () => end(run, 'done'),
        (error: unknown) => {
          onFailure(error)
          run.error = error instanceof Error ? error.message : String(error)
          end(run, 'failed')
        },
      )
      return run
    },
    latest: () => latest,
    async status() {
      const { collection } = metadata
      const found = await collection.status()
      const garbage = await walk(collection.garbage)
      const held = await walk(collection.heldByTrash)
      const trash = { ...found.trash, bytes: found.trash.bytes + held.bytes, complete: held.complete }
      return { ...found, garbage, trash, terms: terms(), latest }
    },
    why: (digest) => metadata.collection.why(digest, REASONS),
    idle: () => running,
    purge: (id) => collector.purge(id),
  }

  function end(run: CollectionRun, state: 'done' | 'failed'): void {
    run.state = state
    run.endedAt = now()
  }
}

async function walk<Place>(
  look: (after: Place | undefined, limit: number) => Promise<UnneededPortion<Place>>,
): Promise<Tally & Walked> {
  const found = { count: 0, bytes: 0, complete: false }
  let after: Place | undefined
  for (let looked = 0; looked < LOOKED; looked += LOOK) {
    const { blobs, next } = await look(after, LOOK)
    found.count += blobs.count
    found.bytes += blobs.bytes
    if (next === undefined) return { ...found, complete: true }
    after = next
  }
  return found
}

function add(tally: Tally, size: number): void {
  tally.count++
  tally.bytes += size
}
