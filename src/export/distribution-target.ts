import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { REPOSITORIES_ROOT } from '../storage/distribution-path.ts'
import { makeDirectories, syncDirectory } from '../storage/durable.ts'
import { syncFileSystem } from '../storage/sync-file-system.ts'
import { ExportError } from './export-error.ts'
import { MARKER_FILE, type Marker, NOTE, readMarker, writeMarker } from './marker.ts'

/**
 * Where the links of an export are built: beside `repositories`, whose name the tree only gets when all of it is on the
 * disk. A half of it under that name would make the original's garbage-collect delete the blobs of the other half.
 */
const WORKSPACE = `${REPOSITORIES_ROOT}.export`
/** Its marker, until that is written. */
const NEW_MARKER = 'marker'

export interface DistributionTarget {
  /** Stands for `docker/registry/v2/repositories` until the end. */
  tree: string
  /** For files that are not whole yet. */
  temporary: string
  /** Makes the tree what is served there. `links`: files called `link` in it. */
  finish(links: number): void
}

/**
 * Makes `root` ready for a tree, and throws away what an earlier run left half done.
 * @throws ExportError when something else is there, or somebody else wrote into the tree of an earlier export.
 */
export function openDistributionTarget(
  root: string,
  { inPlace, dryRun, now }: { inPlace: boolean; dryRun: boolean; now: () => number },
): DistributionTarget {
  const workspace = join(root, WORKSPACE)
  const final = join(root, REPOSITORIES_ROOT)
  const target = { tree: join(workspace, 'tree'), temporary: join(workspace, 'tmp') }
  requireOurs(root, workspace, final, inPlace)
  if (dryRun) return { ...target, finish: () => {} }

  const marker = (more: Pick<Marker, 'complete' | 'links'>): Marker => ({
    kind: 'berth-export',
    layout: 'distribution',
    inPlace,
    ...more,
    at: new Date(now()).toISOString(),
    note: NOTE,
  })
  discard(workspace)
  makeDirectories(workspace)
  writeMarker(workspace, marker({ complete: false, links: 0 }), join(workspace, NEW_MARKER))
  syncDirectory(workspace)
  mkdirSync(target.tree)
  mkdirSync(target.temporary)

  return {
    ...target,
    finish(links) {
      // The last file of the tree: what is newer was not written by this export.
      writeMarker(target.tree, marker({ complete: true, links }), join(target.temporary, MARKER_FILE))
      syncFileSystem(workspace)
      const before = lstatSync(final, { throwIfNoEntry: false })
      if (before?.isFile()) unlinkSync(final)
      else if (before !== undefined) renameSync(final, join(workspace, 'before'))
      renameSync(target.tree, final)
      syncDirectory(workspace)
      syncDirectory(dirname(final))
      discard(workspace)
    },
  }
}

function requireOurs(root: string, workspace: string, final: string, inPlace: boolean): void {
  const isFolder = lstatSync(root, { throwIfNoEntry: false })?.isDirectory()
  if (isFolder === undefined) return
  if (!isFolder && !statSync(root).isDirectory()) throw new ExportError(`${root} is a file; name a folder`)
  const marker = readMarker(final)
  const there = lstatSync(final, { throwIfNoEntry: false })
  // A file in the tree's place is what adoption leaves, so that the original refuses.
  if (marker === undefined && there !== undefined && !(inPlace && there.isFile())) {
    throw new ExportError(
      inPlace
        ? `${final} was written by registry:2 and not by an export. Start Berth, which adopts it, then stop it and export again`
        : `${root} holds a registry that Berth did not write (${final}). Name another folder`,
    )
  }
  if (marker !== undefined) {
    const foreign = writtenSince(final, marker)
    if (foreign === undefined) return
    const remedy = inPlace
      ? 'Start Berth, which adopts the difference, then stop it and export again'
      : 'Export to another folder, or remove this one'
    throw new ExportError(`the registry in ${root} was written to since it was exported: ${foreign}. ${remedy}`)
  }
  if (readMarker(workspace) !== undefined) return
  const leftover = lstatSync(workspace, { throwIfNoEntry: false }) === undefined ? undefined : firstFile(workspace)
  // Cut short before it could say whose it is.
  if (leftover !== undefined && leftover !== NEW_MARKER) {
    throw new ExportError(`${workspace} is in the way, and not from an export; move it elsewhere`)
  }
  if (inPlace) return
  const found = firstFile(root)
  if (found !== undefined && found !== `${WORKSPACE}/${NEW_MARKER}`) {
    throw new ExportError(`${root} holds something else (${found}). Name a folder that is empty, or not there yet`)
  }
}

/** The marker goes last: whatever is left when this is cut short is known as Berth's own. */
function discard(workspace: string): void {
  if (lstatSync(workspace, { throwIfNoEntry: false }) === undefined) return
  for (const name of readdirSync(workspace)) {
    if (name !== MARKER_FILE) rmSync(join(workspace, name), { recursive: true, force: true })
  }
  rmSync(workspace, { recursive: true, force: true })
}

/** A file or link somewhere below, by its path; folders alone are nothing. */
export function firstFile(folder: string): string | undefined {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) return entry.name
    const below = firstFile(join(folder, entry.name))
    if (below !== undefined) return `${entry.name}/${below}`
  }
  return undefined
}

/** What shows that somebody else wrote into a tree since it was complete; undefined when nothing does. */
function writtenSince(tree: string, { links }: Marker): string | undefined {
  const { mtimeMs } = statSync(join(tree, MARKER_FILE))
  let found = 0
  const visit = (folder: string, name: string): string | undefined => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      const shown = name === '' ? entry.name : `${name}/${entry.name}`
      if (lstatSync(path).mtimeMs > mtimeMs) return `${shown} is newer`
      if (entry.name === 'link') found++
      const below = entry.isDirectory() ? visit(path, shown) : undefined
      if (below !== undefined) return below
    }
    return undefined
  }
  const newer = visit(tree, '')
  if (newer !== undefined) return newer
  return found === links ? undefined : `it has ${found} links in place of ${links}`
}
