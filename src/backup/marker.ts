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

/** A registry that began to serve half of its images would take the bytes of the others for garbage. */
export function refuseUnfinishedRestore(directory: string): void {
  if (!existsSync(join(directory, RESTORE_FILE))) return
  throw new Error(
    `a restore into ${directory} was cut short (${RESTORE_FILE} is there): run berth restore again, or remove the folder`,
  )
}
