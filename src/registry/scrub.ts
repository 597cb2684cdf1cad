import type { Metadata, ScrubState } from '../metadata/metadata.ts'
import type { Storage } from '../storage/storage.ts'
import type { Finding } from './finding.ts'
import { createRate, StoppedError } from './rate.ts'
import { type BlobChecks, timeOfStamp } from './verify-blobs.ts'

export interface Scrub {
  /**
   * Goes on hashing blobs where it stopped, until all have been hashed once since the pass began; begins the next pass
   * when `every` milliseconds have gone since. Damaged blobs are quarantined. Resolves when there is nothing to do for now.
   * @throws StoppedError once the signal is aborted: what was hashed is remembered.
   */
  run(terms: ScrubTerms, events: ScrubEvents, signal: AbortSignal): Promise<void>
  /**
   * Removes from the quarantine what is older than `before` (milliseconds since the epoch), unless its blob is still damaged: it
   * may be all that there is of it. Resolves to how many.
   */
  expire(before: number): Promise<number>
}

export interface ScrubTerms {
  every: number
  /** Bytes a second. */
  rate: number
}

export interface ScrubEvents {
  found(finding: Finding): void
  blob(size: number): void
  /** A pass has ended. */
  completed(state: ScrubState): void
}

/** Blobs that are looked up together. */
const PORTION = 100
/** Milliseconds between two notes of how far it is: so much is hashed again after a restart. */
const REMEMBER = 30_000

export function createScrub(deps: {
  metadata: Metadata
  storage: Storage
  checks: BlobChecks
  now: () => number
}): Scrub {
  const { metadata, storage, checks, now } = deps
  const { verification } = metadata

  async function begin(every: number): Promise<ScrubState | undefined> {
    const state = await verification.scrub()
    const time = now()
    if (state !== undefined && state.endedAt === undefined) return state
    // A clock that was ahead once must not put the next pass off for years.
    const isDue = state === undefined || time - state.startedAt >= every || state.startedAt > time
    return isDue ? { startedAt: time, last: undefined, endedAt: undefined, blobs: 0, bytes: 0, damaged: 0 } : undefined
  }

  return {
    async run({ every, rate }, events, signal) {
      const state = await begin(every)
      if (state === undefined) return
      const wait = createRate(rate, signal)
      let remembered = performance.now()
      const onBlob = (row: { digest: ScrubState['last']; size: number; state: string }) => {
        state.last = row.digest
        if (row.state !== 'live') return
        state.blobs++
        state.bytes += row.size
        events.blob(row.size)
      }
      try {
        for (;;) {
          const rows = await verification.blobs({ last: state.last, limit: PORTION })
          if (rows.length === 0) break
          for await (const finding of checks.check(rows, { repair: true, onBytes: wait, onBlob })) {
            if (finding.severity === 'fault' && finding.kind !== 'blob-damaged') state.damaged++
            events.found(finding)
          }
          if (signal.aborted) throw new StoppedError()
          if (performance.now() - remembered < REMEMBER) continue
          remembered = performance.now()
          await verification.setScrub(state)
        }
        state.last = undefined
        state.endedAt = now()
        events.completed(state)
      } finally {
        await verification.setScrub(state)
      }
    },

    async expire(before) {
      let removed = 0
      for await (const { name, digest, stamp } of storage.quarantine.list()) {
        const at = timeOfStamp(stamp)
        if (at === undefined || at > before) continue
        if (digest !== undefined && (await metadata.blobs.locate(digest))?.state === 'damaged') continue
        if (await storage.quarantine.remove(name)) removed++
      }
      return removed
    },
  }
}
