import { renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readJson, writeWhole } from './place.ts'

/** The file by which an export knows again what it wrote. */
export const MARKER_FILE = 'berth-export.json'

/** What stands in it. */
export interface Marker {
  kind: 'berth-export'
  layout: 'distribution' | 'oci'
  /** Of an export into Berth's own data directory: whatever a row of Berth says that could be written stands in the tree. */
  inPlace: boolean
  /** False while the export runs, and for ever when it was cut short. */
  complete: boolean
  /** Files called `link`; 0 until it is complete, and for layouts without any. */
  links: number
  /** The one repository that the folder itself is the layout of. */
  repository?: string
  /** RFC 3339. */
  at: string
  note: string
}

export const NOTE = 'Written by berth export, which may write here again. Remove this file to prevent that.'

/** Undefined when there is none, or one that is not Berth's. */
export function readMarker(folder: string): Marker | undefined {
  const marker = readJson(join(folder, MARKER_FILE)) as Partial<Marker> | null | undefined
  return marker?.kind === 'berth-export' ? (marker as Marker) : undefined
}

/** `temporary` is a name on the same file system that is free. Durable but for the folder's entry. */
export function writeMarker(
  folder: string,
  marker: Marker,
  temporary = join(dirname(folder), `.${MARKER_FILE}`),
): void {
  writeWhole(temporary, Buffer.from(`${JSON.stringify(marker, undefined, 2)}\n`), true)
  renameSync(temporary, join(folder, MARKER_FILE))
}
