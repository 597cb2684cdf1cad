import { type Digest, isAlgorithm, isDigest } from '../oci/digest.ts'
import { isRepositoryName, isTag } from '../oci/name.ts'
import { isUploadId, LAYERS, REVISIONS, TAGS, UPLOADS } from './distribution-path.ts'
import type { Fault, TreeLink, TreePart, TreeTag, TreeUpload } from './tree.ts'
import { PORTION } from './tree-blobs.ts'
import type { Entry, TreeReading } from './tree-reading.ts'

/** What Berth's way back leaves at the top of a tree that it wrote. */
export const EXPORT_MARKER = 'berth-export.json'
/** Folders and files of registry:2's own beside the links of a manifest. */
const SIGNATURES = 'signatures'

/** Everything below `top`, where repositories are. `faults` is where `reading` puts what it finds. */
export async function* walkRepositories(reading: TreeReading, faults: Fault[], top: string): AsyncIterable<TreePart> {
  for await (const { name, areas } of repositoriesBelow(reading, top)) {
    yield* repositoryParts(reading, faults, top, name, areas)
    if (faults.length > 0) yield { kind: 'faults', faults: faults.splice(0) }
  }
  yield { kind: 'faults', faults: faults.splice(0) }
}

/** Repositories nest: `a` and `a/b` may both be one. */
export async function* repositoriesBelow(
  reading: TreeReading,
  top: string,
): AsyncIterable<{ name: string; areas: Entry[] }> {
  const waiting = ['']
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    await reading.turn()
    const path = name === '' ? top : `${top}/${name}`
    const areas: Entry[] = []
    const below: string[] = []
    for (const entry of reading.list(path) ?? []) {
      const child = name === '' ? entry.name : `${name}/${entry.name}`
      if (name === '' && entry.name === EXPORT_MARKER && entry.kind === 'file') continue
      if (entry.kind !== 'folder') reading.misplaced(entry, `${path}/${entry.name}`)
      else if (entry.name.startsWith('_') && name !== '') areas.push(entry)
      else if (isRepositoryName(child)) below.push(child)
      else
        reading.fault(
          'invalid-name',
          `${path}/${entry.name}`,
          'no repository can have this name; nothing below is adopted',
        )
    }
    waiting.push(...below.reverse())
    if (areas.length > 0) yield { name, areas }
  }
}

async function* repositoryParts(
  reading: TreeReading,
  faults: Fault[],
  top: string,
  repository: string,
  areas: readonly Entry[],
): AsyncIterable<TreePart> {
  const folder = `${top}/${repository}`
  const names = areas.map((area) => area.name)
  const known = [LAYERS, '_manifests', UPLOADS]
  for (const name of names) {
    if (!known.includes(name)) reading.fault('stray', `${folder}/${name}`, 'not a folder of a repository')
  }
  const list = (path: string): Entry[] => reading.list(path) ?? []

  if (names.includes(LAYERS) || names.includes('_manifests')) yield { kind: 'repository', repository }
  for await (const links of linksIn(reading, list, `${folder}/${LAYERS}`, 'alias')) {
    yield { kind: 'layers', repository, links }
    if (faults.length >= PORTION) yield { kind: 'faults', faults: faults.splice(0) }
  }
  for await (const links of linksIn(reading, list, `${folder}/${REVISIONS}`, 'same')) {
    yield { kind: 'revisions', repository, links }
    if (faults.length >= PORTION) yield { kind: 'faults', faults: faults.splice(0) }
  }
  for (const entry of list(`${folder}/_manifests`)) {
    const isKnown = entry.kind === 'folder' && [REVISIONS, TAGS].includes(`_manifests/${entry.name}`)
    if (!isKnown) reading.misplaced(entry, `${folder}/_manifests/${entry.name}`)
  }
  for await (const tags of tagsIn(reading, list, `${folder}/${TAGS}`)) {
    yield { kind: 'tags', repository, tags }
    if (faults.length >= PORTION) yield { kind: 'faults', faults: faults.splice(0) }
  }
  for await (const uploads of uploadsIn(reading, list, `${folder}/${UPLOADS}`)) {
    yield { kind: 'uploads', repository, uploads }
  }
}

type List = (path: string) => Entry[]

/** Links by digest; `alias` ones may lead to another digest. A portion may be empty, for faults to get through. */
async function* linksIn(
  reading: TreeReading,
  list: List,
  top: string,
  kind: 'alias' | 'same',
): AsyncIterable<TreeLink[]> {
  let links: TreeLink[] = []
  let looked = 0
  for (const { digest, path } of digestFolders(reading, list, top)) {
    await reading.turn()
    for (const entry of list(path)) {
      const isOwn = entry.name === 'link' || (kind === 'same' && entry.name === SIGNATURES)
      if (!isOwn) reading.misplaced(entry, `${path}/${entry.name}`)
    }
    const link = reading.link(path)
    if (link !== undefined) {
      const isAlias = kind === 'alias' && digest.startsWith('sha512:') && link.digest.startsWith('sha256:')
      if (link.digest === digest || isAlias) links.push({ digest, target: link.digest, modified: link.modified })
      else reading.fault('bad-link', `${path}/link`, `it holds ${link.digest}`)
    }
    if (++looked % PORTION !== 0) continue
    yield links
    links = []
  }
  if (links.length > 0) yield links
}

function* digestFolders(reading: TreeReading, list: List, top: string): Iterable<{ digest: Digest; path: string }> {
  for (const algorithm of list(top)) {
    const path = `${top}/${algorithm.name}`
    if (algorithm.kind !== 'folder') reading.misplaced(algorithm, path)
    else if (!isAlgorithm(algorithm.name))
      reading.fault('stray', path, 'digests of another algorithm than sha256 and sha512')
    else {
      for (const entry of list(path)) {
        const digest = `${algorithm.name}:${entry.name}`
        if (entry.kind !== 'folder') reading.misplaced(entry, `${path}/${entry.name}`)
        else if (isDigest(digest)) yield { digest, path: `${path}/${entry.name}` }
        else reading.fault('stray', `${path}/${entry.name}`, 'not the folder of a digest')
      }
    }
  }
}

async function* tagsIn(reading: TreeReading, list: List, top: string): AsyncIterable<TreeTag[]> {
  let tags: TreeTag[] = []
  let weight = 0
  for (const entry of list(top)) {
    const path = `${top}/${entry.name}`
    if (entry.kind !== 'folder') reading.misplaced(entry, path)
    else if (!isTag(entry.name)) reading.fault('invalid-name', path, 'no tag can have this name')
    else {
      const tag = await tagIn(reading, list, path, entry.name)
      if (tag !== undefined) tags.push(tag)
      weight += 1 + (tag?.past.length ?? 0)
    }
    if (weight < PORTION) continue
    yield tags
    tags = []
    weight = 0
  }
  if (tags.length > 0) yield tags
}

async function tagIn(reading: TreeReading, list: List, path: string, name: string): Promise<TreeTag | undefined> {
  await reading.turn()
  for (const entry of list(path)) {
    const isOwn = entry.kind === 'folder' && (entry.name === 'current' || entry.name === 'index')
    if (!isOwn) reading.misplaced(entry, `${path}/${entry.name}`)
  }
  const current = reading.link(`${path}/current`)
  if (current === undefined) {
    reading.fault('dangling-tag', path, 'it points to nothing')
    return undefined
  }
  const past: TreeTag['past'] = []
  for (const folder of digestFolders(reading, list, `${path}/index`)) {
    await reading.turn()
    const link = reading.link(folder.path)
    if (link === undefined) continue
    if (link.digest !== folder.digest) reading.fault('bad-link', `${folder.path}/link`, `it holds ${link.digest}`)
    else if (link.digest !== current.digest) past.push({ digest: link.digest, at: link.modified })
  }
  past.sort((a, b) => a.at - b.at)
  return { name, digest: current.digest, modified: current.modified, past }
}

async function* uploadsIn(reading: TreeReading, list: List, top: string): AsyncIterable<TreeUpload[]> {
  let uploads: TreeUpload[] = []
  for (const entry of list(top)) {
    await reading.turn()
    const path = `${top}/${entry.name}`
    if (entry.kind !== 'folder') reading.misplaced(entry, path)
    else if (!isUploadId(entry.name)) reading.fault('broken-upload', path, 'no upload can have this id')
    else {
      const data = reading.stat(`${path}/data`)
      const started = reading.stat(`${path}/startedat`)
      const modified = Math.floor(Math.max(data?.mtimeMs ?? 0, started?.mtimeMs ?? 0))
      if (data !== undefined && !data.isFile()) reading.fault('broken-upload', `${path}/data`, 'not a file')
      else uploads.push({ id: entry.name, startedAt: Math.floor(started?.mtimeMs ?? modified), modified })
    }
    if (uploads.length < PORTION) continue
    yield uploads
    uploads = []
  }
  if (uploads.length > 0) yield uploads
}
