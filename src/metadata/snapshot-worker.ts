import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Fault, toFault } from './sqlite-calls.ts'
import { connect, metadataError } from './sqlite-connection.ts'

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
    write(from, to)
    return { ok: true }
  } catch (error) {
    return { ok: false, error: toFault(metadataError(`cannot write a snapshot of the database to ${to}`, error)) }
  }
}

/** The name `to` stands for a whole snapshot, or none. Readers of a write-ahead log hold up nobody who writes. */
function write(from: string, to: string): void {
  const draft = `${to}.new`
  rmSync(draft, { force: true })
  try {
    // Made beforehand, because SQLite would make it readable by everybody.
    closeSync(openSync(draft, 'wx', 0o600))
    const connection = connect(from, 'read')
    try {
      connection.run(`VACUUM INTO '${draft.replaceAll("'", "''")}'`)
    } finally {
      connection.close()
    }
    sync(draft)
    renameSync(draft, to)
    sync(dirname(to))
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
