import type { Digest } from '../oci/digest.ts'
import type { AuditRow } from './audit-types.ts'
import type { ManifestPut } from './metadata.ts'

/** A file in storage that some other registry wrote. */
export interface AdoptedBlob {
  digest: Digest
  key: string
  /** Bytes. */
  size: number
  modified: number
}

export interface AdoptedManifest extends Omit<ManifestPut, 'repository' | 'tags' | 'now' | 'actor' | 'events'> {
  /** When it was pushed. */
  at: number
  /** Bytes that its descriptors tell of the blobs that must be there. */
  sizes: readonly { digest: Digest; size: number }[]
}

/**
 * What a manifest names and the repository has not as it should: no bytes at all (`missing`), bytes that were not linked in the
 * repository (`unlinked`), or of another size than the manifest tells (`size`: what it tells; `found`: what is there).
 */
export type AdoptedNeed =
  | { kind: 'missing' | 'unlinked'; manifest: Digest; digest: Digest }
  | { kind: 'size'; manifest: Digest; digest: Digest; size: number; found: number }

export interface AdoptedTag {
  name: string
  digest: Digest
  /** Since when. */
  at: number
  /** What it pointed to before, and since when, the oldest first. */
  past: readonly { digest: Digest; at: number }[]
}

/** `kept`: it points elsewhere since later than the tree has it; `dangling`: the repository has no such manifest. */
export type AdoptedTagOutcome = 'new' | 'same' | 'moved' | 'kept' | 'dangling'

/** How far a look at links, then manifests, then blobs has come. */
export type ReviewCursor =
  | { step: 'links'; repositoryId: number; digest: string }
  | { step: 'manifests'; id: number }
  | { step: 'blobs'; digest: string }

/**
 * Rows for what another registry wrote. Nothing else runs on the database meanwhile but reads. All but `finish` is relaxed:
 * whatever a crash takes back is found again in the tree. Each call may be made again, and then changes nothing.
 */
export interface Adoption {
  /** A live row for each, under its key; one that is live already stays. Resolves to how many are new. */
  blobs(blobs: readonly AdoptedBlob[], now: number): Promise<number>
  /** Links blobs in a repository, which is made if need be; those without a row are `missing`. */
  links(
    repository: string,
    links: readonly { digest: Digest; at: number }[],
    now: number,
  ): Promise<{ added: number; missing: Digest[] }>
  /** With `relink`, blobs that a manifest needs are linked in its repository where they were not. */
  manifests(
    repository: string,
    manifests: readonly AdoptedManifest[],
    options: { relink: boolean; now: number },
  ): Promise<{ added: number; needs: AdoptedNeed[] }>
  /** `isTruth`: the tree is right even where the tag has moved since. Outcomes are in the order of the tags. */
  tags(
    repository: string,
    tags: readonly AdoptedTag[],
    options: { isTruth: boolean; now: number },
  ): Promise<AdoptedTagOutcome[]>
  /** From now on the blob counts as having `size` bytes, so that it is not served, and a push brings it back. */
  distrust(digest: Digest, size: number): Promise<void>
  /**
   * Hands what nothing needs to the collector, which is not to take it before `due`: a bounded number of rows, and resolves to
   * where to go on, or undefined at the end.
   */
  review(cursor: ReviewCursor | undefined, due: number): Promise<ReviewCursor | undefined>
  /** Blobs that no manifest of any repository names, and that are no manifest's own bytes. */
  unreferenced(): Promise<{ blobs: number; bytes: number }>
  /** Records that it was done. Everything before it is durable when this resolves. */
  finish(record: AuditRow): Promise<void>
}
