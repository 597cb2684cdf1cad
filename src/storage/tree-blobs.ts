import { algorithmOf, type Digest, digestOf, isAlgorithm, isDigest } from '../oci/digest.ts'
import { isBlobFileName, isBlobFolder } from './blob-path.ts'
import { BLOBS_ROOT } from './distribution-path.ts'
import type { Fault, TreeBlob, TreePart } from './tree.ts'
import type { TreeReading } from './tree-reading.ts'

/** Entries of a portion. */
export const PORTION = 500

/** That of no bytes. */
const isNothing = (digest: Digest) => digest === digestOf(new Uint8Array(), algorithmOf(digest))

/** Every blob's file, and what else lies there. `faults` is where `reading` puts what it finds. */
export async function* walkBlobs(reading: TreeReading, faults: Fault[]): AsyncIterable<TreePart> {
  let blobs: TreeBlob[] = []
  for (const folder of blobFolders(reading)) {
    await reading.turn()
    blobs.push(...blobsIn(reading, folder))
    if (blobs.length >= PORTION) yield { kind: 'blobs', blobs }
    if (blobs.length >= PORTION) blobs = []
    if (faults.length >= PORTION) yield { kind: 'faults', faults: faults.splice(0) }
  }
  yield { kind: 'blobs', blobs }
  yield { kind: 'faults', faults: faults.splice(0) }
}

interface BlobFolder {
  path: string
  digest: Digest
}

/** The folder of each digest. */
export function* blobFolders(reading: TreeReading): Iterable<BlobFolder> {
  for (const algorithm of foldersIn(reading, BLOBS_ROOT)) {
    const top = `${BLOBS_ROOT}/${algorithm}`
    if (!isAlgorithm(algorithm)) {
      reading.fault('stray', top, 'digests of another algorithm than sha256 and sha512')
      continue
    }
    for (const shard of foldersIn(reading, top)) {
      for (const hex of foldersIn(reading, `${top}/${shard}`)) {
        const path = `${top}/${shard}/${hex}`
        const digest = `${algorithm}:${hex}`
        if (isDigest(digest) && isBlobFolder(algorithm, shard, hex)) yield { path, digest }
        else reading.fault('stray', path, 'not the folder of a digest')
      }
    }
  }
}

function* foldersIn(reading: TreeReading, path: string): Iterable<string> {
  for (const entry of reading.list(path) ?? []) {
    if (entry.kind === 'folder') yield entry.name
    else reading.misplaced(entry, `${path}/${entry.name}`)
  }
}

/** The file of the digest: `data`, or one of Berth's own beside it. */
function blobsIn(reading: TreeReading, { path, digest }: BlobFolder): TreeBlob[] {
  const entries = reading.list(path)
  if (entries === undefined) return []
  if (entries.length === 0) reading.fault('stray', path, 'an empty folder')
  const found: TreeBlob[] = []
  for (const entry of entries) {
    const key = `${path}/${entry.name}`
    if (entry.kind === 'file' && isBlobFileName(entry.name)) {
      const stats = reading.stat(key)
      if (stats === undefined) continue
      if (stats.size > 0 || isNothing(digest)) {
        found.push({ digest, key, size: stats.size, modified: Math.floor(stats.mtimeMs) })
      } else reading.fault('empty-blob', key, `an empty file is not the ${algorithmOf(digest)} of this`)
    } else if (entry.kind === 'file') {
      reading.fault('stray', key, `${reading.stat(key)?.size ?? 0} bytes that a write left behind`)
    } else reading.misplaced(entry, key)
  }
  // Where both are, `data` is the one that the other registry knows.
  return found.slice(0, 1)
}
