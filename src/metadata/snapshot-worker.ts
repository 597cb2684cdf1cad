import { giveWay } from '../threads/give-way.ts'
import { checkDatabaseFile, writeSnapshotFile } from './snapshot-file.ts'
import { type Fault, toFault } from './sqlite-calls.ts'
import { metadataError } from './sqlite-connection.ts'

/** A thread of its own for one snapshot, or a check: each runs for as long as the database is large, and nobody waits for it. */
declare const self: Worker

export interface SnapshotRequest {
  from: string
  /** Where the snapshot goes, or how it is checked without one. */
  to: string | { check: 'quick' | 'thorough' }
}

export type SnapshotAnswer = { ok: true } | { ok: false; error: Fault }

giveWay()

self.onmessage = ({ data }: MessageEvent<SnapshotRequest>) => {
  self.postMessage(answer(data))
}

function answer({ from, to }: SnapshotRequest): SnapshotAnswer {
  const doing = typeof to === 'object' ? `cannot check ${from}` : `cannot write a snapshot of the database to ${to}`
  try {
    if (typeof to === 'object') checkDatabaseFile(from, to.check === 'thorough')
    else writeSnapshotFile(from, to)
    return { ok: true }
  } catch (error) {
    return { ok: false, error: toFault(metadataError(doing, error)) }
  }
}
