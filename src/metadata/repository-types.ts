import type { Digest } from '../oci/digest.ts'
import type { Change } from './collection-types.ts'
import type { NewEvent } from './event-types.ts'
import type { TagProtection } from './limit-types.ts'

/** How far the deletion of a repository has come: given to the next portion as the one before told it. */
export interface DeletionProgress {
  /** Indexes go before what they name: nobody finds an image whose parts are gone. */
  phase: 'indexes' | 'all'
  /** Of the phase. */
  last: Digest | undefined
  /** What was pushed after the deletion began has a greater id, and stays. */
  through: number
}

export interface DeletedPortion {
  /** Manifests that are in the trash now. */
  digests: Digest[]
  /** Tags that went with them. */
  tags: string[]
  /** Blobs that no manifest of the repository needs any more. */
  freed: Digest[]
  /** Undefined: this was the last portion. */
  progress: DeletionProgress | undefined
}

/** `unknown`: there is no such repository; else what keeps the new name from being given: see `Repositories.rename`. */
export type Renamed = 'renamed' | 'unknown' | 'exists' | 'in-trash' | 'in-use'

export interface RepositoryChange extends Change {
  events?: readonly NewEvent[]
  /** Tags that must not go. A change that would take one away is refused with a MetadataError `denied`, before its first step. */
  protections?: readonly TagProtection[]
}
