import { FAULTS, type Fault, type FaultKind } from '../storage/tree.ts'

/** What an adoption found, and did. */
export interface AdoptionReport {
  /** True: nothing was changed, and what it did is what it would do. */
  dryRun: boolean
  /** Whether every blob's bytes were hashed. */
  verified: boolean
  found: Found
  changed: Changed
  /** How often each kind of fault was met; those that were not are left out. */
  faults: Partial<Record<FaultKind, number>>
  /** Where the tree is now, below the data directory. */
  retired: string | undefined
  /** File with all of it, every fault on a line of its own. */
  file: string | undefined
}

/** What the tree holds that can be used. */
export interface Found {
  repositories: number
  manifests: number
  tags: number
  /** Manifests that refer to another one. */
  referrers: number
  links: number
  uploads: number
  blobs: number
  bytes: number
  /** No manifest of the tree needs them, and they are none. */
  unreferencedBlobs: number
  unreferencedBytes: number
}

/** Rows that were not there, or are not there any more. */
export interface Changed {
  blobs: number
  links: number
  manifests: number
  tags: number
  /** Tags that the other registry pointed to another manifest since. */
  movedTags: number
  /** Tags that Berth pointed elsewhere later than the other registry: they stay. */
  keptTags: number
  uploads: number
  /** Deleted by the other registry since a way back. */
  deletedTags: number
  deletedManifests: number
  deletedLinks: number
}

export function emptyReport(options: { dryRun: boolean; verified: boolean }): AdoptionReport {
  return {
    ...options,
    found: {
      repositories: 0,
      manifests: 0,
      tags: 0,
      referrers: 0,
      links: 0,
      uploads: 0,
      blobs: 0,
      bytes: 0,
      unreferencedBlobs: 0,
      unreferencedBytes: 0,
    },
    changed: {
      blobs: 0,
      links: 0,
      manifests: 0,
      tags: 0,
      movedTags: 0,
      keptTags: 0,
      uploads: 0,
      deletedTags: 0,
      deletedManifests: 0,
      deletedLinks: 0,
    },
    faults: {},
    retired: undefined,
    file: undefined,
  }
}

/** What a fault means, for people. */
export function wordsFor(kind: FaultKind): string {
  return FAULTS[kind]
}

export type { Fault, FaultKind }
