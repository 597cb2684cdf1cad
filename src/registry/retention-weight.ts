import type { ManifestPlace, Metadata, NeededBlob } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { createIdSet, type IdSet } from './id-set.ts'

/** What the deletions of one repository bring. */
export interface RetentionWeight {
  /** Manifests that go: with their last tag, or with what needed them. */
  manifests: number
  /** Of these, and of blobs that nothing else needs. */
  bytes: number
  /** False: there was more than was counted. */
  exact: boolean
}

/** Manifests of one look. */
const PORTION = 500
/** Blobs that are told apart; past these, bytes are only those that were counted. */
const MAX_BLOBS = 200_000

/**
 * Counts what goes, as the deletion itself decides it: a manifest whose tags all go, unless an index or a subject that stays needs
 * it; then its children and referrers that nothing else needs.
 * @param losing manifests that lose all their tags, or have none and are deleted
 */
export async function weigh(
  retention: Pick<Metadata['retention'], 'places' | 'needed' | 'holders'>,
  repository: string,
  losing: IdSet,
): Promise<RetentionWeight> {
  const going = createIdSet()
  const weight: RetentionWeight = { manifests: 0, bytes: 0, exact: true }

  function goes({ id, isTagged, parents, subject }: ManifestPlace): boolean {
    if (isTagged && !losing.has(id)) return false
    return parents.every((parent) => going.has(parent)) && (subject === undefined || going.has(subject))
  }

  // What hangs below another one is looked at again when that goes.
  for (const ids of portions(losing)) {
    let waiting = ids
    while (waiting.length > 0) {
      const below: number[] = []
      for (const place of await retention.places(waiting)) {
        if (going.has(place.id) || !goes(place)) continue
        going.add(place.id)
        weight.manifests++
        weight.bytes += place.size
        below.push(...place.below)
      }
      waiting = below
    }
  }
  const blobs = new Map<Digest, NeededBlob>()
  for (const ids of portions(going)) {
    for (const blob of await retention.needed(ids)) {
      const known = blobs.get(blob.digest)
      if (known !== undefined) known.manifests += blob.manifests
      else if (blobs.size < MAX_BLOBS) blobs.set(blob.digest, blob)
      else weight.exact = false
    }
  }
  const digests = [...blobs.keys()]
  for (let start = 0; start < digests.length; start += PORTION) {
    for (const holders of await retention.holders(repository, digests.slice(start, start + PORTION))) {
      const { size, manifests } = blobs.get(holders.digest) ?? { size: 0, manifests: -1 }
      if (!holders.elsewhere && holders.manifests === manifests) weight.bytes += size
    }
  }
  return weight
}

function* portions(ids: IdSet): Generator<number[]> {
  let portion: number[] = []
  for (const id of ids) {
    portion.push(id)
    if (portion.length < PORTION) continue
    yield portion
    portion = []
  }
  if (portion.length > 0) yield portion
}
