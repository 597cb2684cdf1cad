import { writeSnapshotFile } from './snapshot-file.ts'
import { type Fault, toFault } from './sqlite-calls.ts'
import { metadataError } from './sqlite-connection.ts'

/** A thread of its own for one snapshot: `VACUUM INTO` runs for as long as the database is large, and nobody waits for it. */
declare const self: Worker

export interface SnapshotRequest {
  from: string
  to: string
}

export type SnapshotAnswer = { ok: true } | { ok: false; error: Fault }

self.onmessage = ({ data }: MessageEvent<SnapshotRequest>) => {
  self.postMessage(answer(data))
}

function answer({ from, to }: SnapshotRequest): SnapshotAnswer {
  try {
    writeSnapshotFile(from, to)
    return { ok: true }
  } catch (error) {
    return { ok: false, error: toFault(metadataError(`cannot write a snapshot of the database to ${to}`, error)) }
  }
}
