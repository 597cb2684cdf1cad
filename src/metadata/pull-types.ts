import type { Digest } from '../oci/digest.ts'

/** Pulls of one manifest, summed up before they are written. */
export interface PullTally {
  repository: string
  /** The tag that was asked for; undefined for pulls by digest. */
  tag: string | undefined
  digest: Digest
  /** At least 1. */
  pulls: number
  /** When the last of them was, in milliseconds since the epoch. */
  lastAt: number
}

/** How often, and when last, something was pulled. */
export interface Pulled {
  pulls: number
  /** Milliseconds since the epoch. */
  lastAt: number
}

/**
 * Pulls of tags and of manifests, since their counting began. A pull by tag counts for both. A tag keeps its pulls when it moves; what is deleted
 * loses them, and gets them back when it is restored from the trash.
 */
export interface Pulls {
  /** Adds to what is there, whoever wrote it. What was deleted meanwhile is left out. Relaxed. */
  add(tallies: readonly PullTally[]): Promise<void>
  /** Those of the tags that were ever pulled, in byte order. */
  ofTags(repository: string, tags: readonly string[]): Promise<(Pulled & { tag: string })[]>
  /** Those of the manifests that were ever pulled, in byte order. */
  ofManifests(repository: string, digests: readonly Digest[]): Promise<(Pulled & { digest: Digest })[]>
  /** When the counting began: what was pulled before that, nobody knows. Milliseconds since the epoch. */
  since(): Promise<number>
}
