import type { ManifestPlace, Metadata } from '../metadata/metadata.ts'
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
const PORTION = 50
/** Blobs that are told apart; past these, bytes are only those that were counted. */
const MAX_BLOBS = 200_000

/**
 * Counts what goes, as the deletion itself decides it: a manifest whose tags all go, unless an index or a subject that stays needs
 * it; then its children and referrers that nothing else needs.
 * @param losing manifests that lose all their tags, or have none and are deleted
 */
export async function weigh(
  retention: Pick<Metadata['retention'], 'places' | 'needed'>,
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
      const portion = waiting.splice(0, PORTION)
      const places = await retention.places(repository, portion)
      for (const place of places) {
        if (going.has(place.id) || !goes(place)) continue
        going.add(place.id)
        weight.manifests++
        weight.bytes += place.size
        waiting = [...waiting, ...place.below]
      }
    }
  }
  const seen = new Set<string>()
  for (const ids of portions(going)) {
    for (const { digest, size, needers, complete } of await retention.needed(repository, ids)) {
      if (seen.has(digest)) continue
      if (seen.size >= MAX_BLOBS) {
        weight.exact = false
        continue
      }
      seen.add(digest)
      if (complete && needers.every((id) => going.has(id))) weight.bytes += size
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
