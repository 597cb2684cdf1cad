import type { Digest } from '../oci/digest.ts'
import type { TreeBlob } from '../storage/tree.ts'
import type { AdoptionDeps, AdoptionOptions } from './adopt.ts'
import type { AdoptionReport, Fault } from './adoption-report.ts'

/** One adoption under way. */
export interface AdoptionRun extends AdoptionDeps, AdoptionOptions {
  /** The tree is one that Berth wrote: it is right wherever rows say otherwise. */
  isExport: boolean
  report: AdoptionReport
  /** @throws StorageError when it is one that adoption must not go past. */
  fault: (fault: Fault) => void
  /** Blobs that were hashed because a manifest told another size, and are whole: some of the last. */
  good: Set<Digest>
}

/** Files hashed side by side. */
const HASHED_AT_ONCE = 4

export async function adoptBlobs(run: AdoptionRun, found: readonly TreeBlob[]): Promise<void> {
  const blobs = run.verify ? await whole(run, found) : found
  const { report, metadata, now } = run
  for (const { size } of blobs) report.found.bytes += size
  report.found.blobs += blobs.length
  report.changed.blobs += await metadata.adoption.blobs(
    blobs.map((blob) => ({ ...blob, modified: at(run, blob.modified) })),
    now(),
  )
}

/** Those whose bytes have their digest. The others get no row: a push brings them back. */
async function whole(run: AdoptionRun, found: readonly TreeBlob[]): Promise<TreeBlob[]> {
  const good: TreeBlob[] = []
  for (let start = 0; start < found.length; start += HASHED_AT_ONCE) {
    const some = found.slice(start, start + HASHED_AT_ONCE)
    const digests = await Promise.all(some.map((blob) => run.tree.hash(blob.key, blob.size)))
    for (const [index, blob] of some.entries()) {
      if (digests[index] === blob.digest) good.push(blob)
      else run.fault(damaged(blob.key, digests[index]))
    }
  }
  return good
}

export function damaged(path: string, actual: Digest | undefined): Fault {
  return { kind: 'damaged-blob', path, detail: actual === undefined ? 'it cannot be read' : `its bytes are ${actual}` }
}

/** A time of the tree: one that lies ahead (the clock was wrong) counts as now. */
export function at(run: Pick<AdoptionRun, 'now'>, modified: number): number {
  return Math.max(0, Math.min(modified, run.now()))
}
