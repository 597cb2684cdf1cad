import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts'
import { syncFileSystem } from '../storage/sync-file-system.ts'
import { firstFile } from './distribution-target.ts'
import { ExportError } from './export-error.ts'
import { MARKER_FILE, type Marker, NOTE, readMarker, writeMarker } from './marker.ts'
import type { Places } from './place.ts'

/** For files that are not whole yet. */
const WORKSPACE = '.berth-export'
/** OCI Image Specification 1.1, "Image Layout": what stands in the folder of a layout. */
const LAYOUT_FILE = 'oci-layout'
const INDEX_FILE = 'index.json'
const BLOBS = 'blobs'
/** OCI Image Specification 1.1, "Pre-Defined Annotation Keys": what readers of layouts take for the tag. */
export const REF_NAME = 'org.opencontainers.image.ref.name'

/** Names that a part of a repository's name must not have, where a layout lies above it. */
const TAKEN = new Set([LAYOUT_FILE, INDEX_FILE, BLOBS])

export interface OciTarget {
  temporary: string
  finish(): void
}

/** @throws ExportError when something else is in the folder. */
export function openOciTarget(
  root: string,
  { single, dryRun, now }: { single: string | undefined; dryRun: boolean; now: () => number },
): OciTarget {
  const workspace = join(root, WORKSPACE)
  requireOurs(root, single)
  if (dryRun) return { temporary: workspace, finish: () => {} }
  const mark = (complete: boolean) => {
    const marker: Marker = {
      kind: 'berth-export',
      layout: 'oci',
      inPlace: false,
      complete,
      links: 0,
      ...(single === undefined ? {} : { repository: single }),
      at: new Date(now()).toISOString(),
      note: NOTE,
    }
    writeMarker(root, marker, join(workspace, 'marker'))
  }
  rmSync(workspace, { recursive: true, force: true })
  mkdirSync(workspace, { recursive: true })
  mark(false)
  return {
    temporary: workspace,
    finish() {
      syncFileSystem(root)
      mark(true)
      rmSync(workspace, { recursive: true, force: true })
      syncFileSystem(root)
    },
  }
}

function requireOurs(root: string, single: string | undefined): void {
  if (lstatSync(root, { throwIfNoEntry: false }) === undefined) return
  if (!statSync(root).isDirectory()) throw new ExportError(`${root} is a file; name a folder`)
  const marker = readMarker(root)
  if (marker === undefined) {
    const found = firstFile(root)
    // Cut short before it could say whose it is.
    if (found === undefined || found === `${WORKSPACE}/marker`) return
    throw new ExportError(`${root} holds something else (${found}). Name a folder that is empty, or not there yet`)
  }
  if (marker.layout !== 'oci') throw new ExportError(`${root} holds an export of the layout ${marker.layout}`)
  if (marker.repository !== single) {
    const what =
      marker.repository === undefined ? 'one layout for each repository' : `the layout of ${marker.repository}`
    const wanted = single === undefined ? 'one layout for each repository' : `the layout of ${single}`
    throw new ExportError(`${root} is ${what}, and cannot become ${wanted}. Name another folder`)
  }
}

/** Why a repository's layout cannot lie below the others; undefined when it can. */
export function pathTaken(repository: string): string | undefined {
  const [first = '', ...rest] = repository.split('/')
  if (first === MARKER_FILE) return `${first} is a file of the export`
  const part = rest.find((name) => TAKEN.has(name))
  return part === undefined ? undefined : `${part} is a part of every layout`
}

/** One layout: OCI Image Specification 1.1, "Image Layout". */
export interface Layout {
  pathOf(digest: Digest): string
  has(digest: Digest): boolean
  /** What an earlier export wrote into its index. */
  entries(): Descriptor[]
  /** Last of all: whoever reads the index finds what it names. */
  finish(entries: readonly Descriptor[]): void
}

export function openLayout(folder: string, places: Places, dryRun: boolean): Layout {
  const pathOf = (digest: Digest) => join(folder, BLOBS, algorithmOf(digest), hexOf(digest))
  return {
    pathOf,
    has: (digest) => dryRun || existsSync(pathOf(digest)),
    entries() {
      try {
        const index = JSON.parse(readFileSync(join(folder, INDEX_FILE), 'utf8')) as { manifests?: Descriptor[] }
        return index.manifests ?? []
      } catch {
        // None yet; one that cannot be read is written anew.
        return []
      }
    },
    finish(manifests) {
      if (!dryRun) mkdirSync(join(folder, BLOBS), { recursive: true })
      places.bytes(join(folder, LAYOUT_FILE), `${JSON.stringify({ imageLayoutVersion: '1.0.0' })}`)
      const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
      places.bytes(join(folder, INDEX_FILE), `${JSON.stringify(index)}\n`)
    },
  }
}
