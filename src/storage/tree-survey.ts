import { accessSync, constants, lstatSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BLOBS_ROOT, LAYERS, REVISIONS, TAGS, UPLOADS } from './distribution-path.ts'
import { errnoOf } from './fault.ts'
import { isDenied, type Survey } from './tree.ts'
import { blobFolders } from './tree-blobs.ts'
import { createTreeReading, type TreeReading } from './tree-reading.ts'
import { repositoriesBelow } from './tree-repositories.ts'

/** Bytes of rows and their indexes, roughly: a blob; a link, a tag or a move of one; a manifest with its references. */
const ROW = { blob: 300, link: 300, manifest: 6000 }
/** Denied paths that are named. */
const NAMED = 10
/** Files between two ticks. */
const TICK = 1000

/** See `Tree.survey`. `root` is absolute, `top` where the repositories are. */
export async function surveyTree(root: string, top: string, tick: (counted: number) => void): Promise<Survey> {
  const denied: Survey['denied'] = { paths: [], count: 0 }
  const deny = (path: string) => {
    if (denied.count++ < NAMED) denied.paths.push(path)
  }
  const reading = createTreeReading(root, (fault) => {
    if (isDenied(fault)) deny(fault.path)
  })
  const may = accessOf(root, deny)
  const survey: Survey = { files: 0, rowBytes: 0, denied, obstacles: obstaclesOf(root, top) }
  const count = (row: number, path: string, mode: number) => {
    survey.rowBytes += row
    may(path, mode)
    if (++survey.files % TICK === 0) tick(survey.files)
  }

  may(dirname(top), WRITE)
  may(BLOBS_ROOT, WRITE)
  for (const { path } of blobFolders(reading)) {
    await reading.turn()
    may(path, WRITE)
    may(dirname(path), WRITE)
    count(ROW.blob, `${path}/data`, READ)
  }
  for await (const { name, areas } of repositoriesBelow(reading, top)) {
    const folder = `${top}/${name}`
    const has = (area: string) => areas.some((entry) => entry.name === area)
    if (has(LAYERS)) await countLinks(reading, `${folder}/${LAYERS}`, (path) => count(ROW.link, path, READ))
    if (has('_manifests')) {
      await countLinks(reading, `${folder}/${REVISIONS}`, (path) => count(ROW.manifest, path, READ))
      await countBelow(reading, `${folder}/${TAGS}`, (path) => count(ROW.link, `${path}/current/link`, READ))
    }
    if (has(UPLOADS)) {
      await countBelow(reading, `${folder}/${UPLOADS}`, (path) => {
        may(path, WRITE)
        count(ROW.link, `${path}/data`, READ | WRITE)
      })
    }
  }
  return survey
}

const READ = constants.R_OK
const WRITE = constants.W_OK

/** Tells paths that are there and may not be used so. Root may do anything, and need not ask. */
function accessOf(root: string, deny: (path: string) => void): (path: string, mode: number) => void {
  if (process.geteuid?.() === 0) return () => {}
  return (path, mode) => {
    try {
      accessSync(join(root, path), mode)
    } catch (error) {
      const code = errnoOf(error)
      if (code === 'EACCES' || code === 'EPERM') deny(path)
    }
  }
}

async function countLinks(reading: TreeReading, path: string, count: (path: string) => void): Promise<void> {
  for (const algorithm of reading.list(path) ?? []) {
    if (algorithm.kind !== 'folder') continue
    await countBelow(reading, `${path}/${algorithm.name}`, (folder) => count(`${folder}/link`))
  }
}

async function countBelow(reading: TreeReading, path: string, count: (path: string) => void): Promise<void> {
  for (const entry of reading.list(path) ?? []) {
    await reading.turn()
    if (entry.kind === 'folder') count(`${path}/${entry.name}`)
  }
}

/** Blobs are put in place by renaming, and so is the tree put aside: both need one file system. */
function obstaclesOf(root: string, top: string): string[] {
  const device = (path: string) => statSync(path, { throwIfNoEntry: false })?.dev
  const obstacles: string[] = []
  const [own, blobs, above] = [root, join(root, BLOBS_ROOT), dirname(join(root, top))].map(device)
  // A link to it elsewhere is renamed like anything else.
  const repositories = lstatSync(join(root, top), { throwIfNoEntry: false })?.dev
  const move = 'put all of the directory on one file system'
  if (blobs !== undefined && blobs !== own) {
    obstacles.push(
      `${BLOBS_ROOT} is on another file system than the data directory, so that no push could be kept: ${move}`,
    )
  }
  if (repositories !== undefined && repositories !== above) {
    obstacles.push(`${top} is on another file system than the folder that it is in, and cannot be renamed: ${move}`)
  }
  return obstacles
}
