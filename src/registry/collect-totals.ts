import type { Tally } from '../metadata/metadata.ts'
import type { CollectionEvents } from './collect.ts'

/** What a cycle has done. */
export interface Totals {
  /** Untagged ones, and those that left the trash for good. */
  manifests: Tally
  /** Marked. */
  blobs: Tally
  /** Bytes that are off the disk. */
  unlinked: Tally
  failures: number
}

/** Counts what is told, and passes it on. */
export function createTotals(given: CollectionEvents): { totals: Totals; events: Required<CollectionEvents> } {
  const totals: Totals = {
    manifests: { count: 0, bytes: 0 },
    blobs: { count: 0, bytes: 0 },
    unlinked: { count: 0, bytes: 0 },
    failures: 0,
  }
  const add = (tally: Tally, size: number) => {
    tally.count++
    tally.bytes += size
  }
  return {
    totals,
    events: {
      manifest(taken) {
        add(totals.manifests, taken.size)
        given.manifest?.(taken)
      },
      blob(taken) {
        add(totals.blobs, taken.size)
        given.blob?.(taken)
      },
      unlinked(object) {
        add(totals.unlinked, object.size)
        given.unlinked?.(object)
      },
      failed(candidate, error) {
        totals.failures++
        given.failed?.(candidate, error)
      },
    },
  }
}
