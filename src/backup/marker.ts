import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, writeWhole } from '../export/place.ts'
import type { Digest } from '../oci/digest.ts'
import { syncDirectory } from '../storage/durable.ts'

/** The file by which a backup knows its folder again. What it names is whole: it is the last that a backup writes. */
export const MARKER_FILE = 'berth-backup.json'
/** Stands in a data directory while a restore fills it. */
export const RESTORE_FILE = 'berth-restore.json'

/** A moment, as a folder may be called. */
const SNAPSHOT_NAME = /^[0-9TZ-]+$/

export interface Marker {
  kind: 'berth-backup'
  format: 1
  /** Folder of the snapshot that counts, below `snapshots`; undefined until one is complete. */
  snapshot?: string
  /** RFC 3339: the backup has all that was acknowledged before. */
  at?: string
  /** Blobs and their bytes. */
  blobs?: number
  bytes?: number
  /** Blobs whose bytes the registry itself did not have. */
  missing?: Missing[]
  note: string
}

export interface Missing {
  digest: Digest
  detail: string
}

/** Undefined when there is none, or one that is not a backup's, or that leads out of its folder. */
export function readMarker(folder: string): Marker | undefined {
  const marker = readJson(join(folder, MARKER_FILE)) as Partial<Marker> | null | undefined
  if (marker?.kind !== 'berth-backup' || marker.format !== 1) return undefined
  const { snapshot, missing } = marker
  if (snapshot !== undefined && !(typeof snapshot === 'string' && SNAPSHOT_NAME.test(snapshot))) return undefined
  return missing === undefined || Array.isArray(missing) ? (marker as Marker) : undefined
}

/** Durable when it returns: a crash leaves the marker before it, or this one. */
export function writeMarker(folder: string, marker: Omit<Marker, 'kind' | 'format' | 'note'>): void {
  const note = 'Written by berth backup, which goes on from here the next time; berth restore reads it.'
  const whole: Marker = { kind: 'berth-backup', format: 1, ...marker, note }
  const draft = join(folder, `.${MARKER_FILE}.new`)
  rmSync(draft, { force: true })
  writeWhole(draft, Buffer.from(`${JSON.stringify(whole, undefined, 2)}\n`), true)
  renameSync(draft, join(folder, MARKER_FILE))
  syncDirectory(folder)
}

/**
 * Makes a folder one that a restore fills. What one that was cut short left stays as it is, for without it, be it for a moment, the
 * half would be taken for a registry.
 */
export function markRestore(folder: string): void {
  const path = join(folder, RESTORE_FILE)
  if (!existsSync(path)) {
    const note = 'berth restore fills this folder. Until it has, berth serve refuses it; run berth restore again.'
    writeWhole(path, Buffer.from(`${JSON.stringify({ note }, undefined, 2)}\n`), true)
  }
  syncDirectory(folder)
}

/** Says in the folder of the blobs that the database in another one is whole, before that is given free. */
export function markRestored(storage: string, database: string): void {
  const draft = join(storage, `${RESTORE_FILE}.new`)
  rmSync(draft, { force: true })
  const note = 'berth restore is done but for these files; run it again, and berth serve takes the folders.'
  writeWhole(draft, Buffer.from(`${JSON.stringify({ note, database }, undefined, 2)}\n`), true)
  renameSync(draft, join(storage, RESTORE_FILE))
  syncDirectory(storage)
}

/** Whether a restore that was cut short has given `database` free, and not yet `storage`. */
export function isRestored(storage: string, database: string): boolean {
  const found = readJson(join(storage, RESTORE_FILE)) as { database?: unknown } | null | undefined
  return found?.database === database
}

/** A registry that began to serve half of its images would take the bytes of the others for garbage. */
export function refuseUnfinishedRestore(directory: string): void {
  if (!existsSync(join(directory, RESTORE_FILE))) return
  throw new Error(
    `a restore into ${directory} was cut short (${RESTORE_FILE} is there): run berth restore again, or remove the folder`,
  )
}
