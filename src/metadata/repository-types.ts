import type { Digest } from '../oci/digest.ts'
import type { Change } from './collection-types.ts'
import type { NewEvent } from './event-types.ts'
import type { TagProtection } from './limit-types.ts'
import type { Page } from './metadata.ts'

/** `unknown`: there is no such repository; else what keeps the new name from being given: see `Repositories.rename`. */
export type Renamed = 'renamed' | 'unknown' | 'deleting' | 'exists' | 'in-trash' | 'in-use'

export interface RepositoryChange extends Change {
  events?: readonly NewEvent[]
  /** Tags that must not go. A change that would take one away is refused with a MetadataError `denied`, before its first step. */
  protections?: readonly TagProtection[]
}

/** A repository, as lists for people show it. */
export interface RepositoryOverview {
  name: string
  createdAt: number
  /** When a tag was last made, moved or deleted; undefined: there never was one. */
  updatedAt: number | undefined
  tags: number
  blobs: number
  /** Of its blobs: those of several repositories count in each. */
  bytes: number
  /** False: it has more tags or blobs than are counted. */
  complete: boolean
  /** Of all manifests that it ever had. */
  pulls: number
  lastPullAt: number | undefined
}

/** A tag, as lists for people show it. */
export interface TagOverview {
  name: string
  digest: Digest
  mediaType: string
  /** Bytes of the manifest, its children and all of their blobs, each counted once. */
  size: number
  pushedAt: number
  /** A subject's name, `''` without credentials; undefined where nobody knows (what another registry left). */
  pushedBy: string | undefined
  pulls: number
  lastPullAt: number | undefined
}

/** Pages for people, of bounded cost however much the registry has. */
export interface Overview {
  /** Those that have a manifest; only those of `among`, where it is given. A page ends early when there is much to count: `more`. */
  repositories(page: Page, among?: readonly string[]): Promise<{ repositories: RepositoryOverview[]; more: boolean }>
  /** Undefined when the repository does not exist. */
  tags(repository: string, page: Page): Promise<TagOverview[] | undefined>
}
