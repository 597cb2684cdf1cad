import type { Digest } from '../oci/digest.ts'
import type { NewEvent } from './event-types.ts'
import type { RepositoryChange } from './repository-types.ts'

/** `undone`: a restoration of its batch has called it off. */
export type DeletionState = 'running' | 'done' | 'undone'

export interface DeletedPortion {
  /** Name of the repository. */
  repository: string
  /** Manifests that are in the trash now. */
  digests: Digest[]
  /** Tags that went with them. */
  tags: string[]
  /** Blobs that no manifest of the repository needs any more. */
  freed: Digest[]
  /** `running`: there is more to take. */
  state: DeletionState
  /** Of all portions so far. */
  total: { manifests: number; tags: number }
  /** Written with this portion: those of its beginning, when it is the last one. */
  events: readonly NewEvent[]
}

export interface UnfinishedDeletion {
  batch: string
  repository: string
  /** Milliseconds since the epoch, as `seenAt`: when it was last known to go on. */
  beganAt: number
  seenAt: number
}

/**
 * Deletions of whole repositories, portion by portion. A deletion that has begun goes on until its end, whoever began it and
 * whatever became of him: any number of processes may carry it out side by side.
 */
export interface Deletions {
  /**
   * From now on everything in the repository goes, but for what is pushed or restored later. Undefined when there is no such
   * repository. One that is under way already begins anew, and keeps its batch, which is told.
   */
  begin(name: string, deletion: RepositoryChange & { batch: string }): Promise<{ batch: string } | undefined>
  /**
   * Moves the next manifests to the trash, as part of `batch`: indexes go before what they name, so that nobody finds an image
   * whose parts are gone. With the last portion the repository itself is gone, unless something came since the beginning. Of a deletion
   * that has ended it tells how; undefined when nobody remembers it.
   */
  advance(batch: string, step: { limit: number; now: number }): Promise<DeletedPortion | undefined>
  /** Ends that of the repository where it is: what it has not taken stays. Resolves to whether it was under way. */
  callOff(repository: string, batch: string, now: number): Promise<boolean>
  unfinished(limit: number): Promise<UnfinishedDeletion[]>
}
