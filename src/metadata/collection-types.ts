import type { Digest } from '../oci/digest.ts'

/** When something is changed, and by whom: a subject's name, `''` without credentials. */
export interface Change {
  /** Milliseconds since the epoch. */
  now: number
  actor: string
}

/**
 * What made a candidate of the collector one: `deleted` (a deletion freed it), `overwritten` (a tag went to another manifest);
 * `unused`: nothing ever needed it, or somebody uploaded, asked for, mounted or pushed it since.
 */
export type Cause = 'unused' | 'deleted' | 'overwritten'

/** Which candidates may be taken: those that wait since `before` or longer, and those of `causes` however long they wait. */
export interface Due {
  now: number
  before: number
  causes: readonly Cause[]
}

/** A link of a blob in a repository that no manifest there is known to need. */
export interface LinkCandidate {
  kind: 'link'
  repositoryId: number
  repository: string
  digest: Digest
  attempts: number
}

/** A manifest that is known to have no tag. */
export interface ManifestCandidate {
  kind: 'manifest'
  id: number
  repositoryId: number
  repository: string
  digest: Digest
  /** Bytes of the manifest itself. */
  size: number
  attempts: number
}

/** A manifest in the trash. */
export interface TrashCandidate {
  kind: 'trash'
  id: number
  repository: string
  digest: Digest
  size: number
  attempts: number
}

/** Bytes that are to be unlinked: nobody can reach them, and no commit takes their key. */
export interface ObjectCandidate {
  kind: 'object'
  key: string
  digest: Digest
  /** Bytes. */
  size: number
  attempts: number
}

export type Candidate = LinkCandidate | ManifestCandidate | TrashCandidate | ObjectCandidate

/**
 * What became of a candidate. `busy`: another collector has it, or something else has to go first; `kept`: something needs
 * it, or somebody touched it; `taken`: it is gone. `discarded` are the blobs whose last holder went with it: their rows say
 * `deleting` from now on.
 */
export type Outcome =
  | { kind: 'busy' }
  | { kind: 'kept' }
  | {
      kind: 'taken'
      discarded: { digest: Digest; size: number }[]
      freed: Digest[]
      /** Of a manifest: since when it had waited, in milliseconds since the epoch. */
      waitedSince?: number
    }

/**
 * Where a collected manifest goes. `trash`: it can be restored until `window` milliseconds after `from`, which is when it
 * began to wait (`since`) or now; `nowhere`, or when that has passed: it is gone.
 */
export type Destination = { to: 'trash'; from: 'since' | 'now'; window: number } | { to: 'nowhere' }

/** `copy`: bytes of a digest beside those that its row names, or without a row. */
export type CollectedKind = 'blob' | 'copy' | 'manifest' | 'upload'

export interface Tally {
  count: number
  /** Bytes. */
  bytes: number
}

export interface CollectionStatus {
  /** Candidates: those that something needs again drop out when they are looked at. */
  links: number
  manifests: number
  /** Manifests in the trash, with their own bytes. */
  trash: Tally & { oldest: number | undefined }
  /** To be unlinked. */
  discarded: Tally
  /** Candidates whose last attempt failed. */
  failing: number
  /** Uploads under way. */
  uploads: Tally & { oldest: number | undefined }
  /** Since the database was made. */
  collected: Record<CollectedKind, Tally>
}

/** What there is, of a repository, of a manifest that somebody deleted. */
export interface Remains {
  /** In the trash, the newest first. */
  burials: { trash: TrashCandidate; reason: 'deleted' | 'collected'; batch: string | undefined; deletedAt: number }[]
  /** It is there (still, or again). */
  manifest: ManifestCandidate | undefined
  /** Since when it waits for the collector because a deletion took its last tag, its index or its subject. */
  freedAt: number | undefined
  /** What all of these name as their children, and what refers to the digest, there or in the trash. */
  dependants: Digest[]
}

/** How far a walk over the queue of links has come. */
export interface LinkPlace {
  repositoryId: number
  digest: Digest
}

/** Some candidates of a walk, each blob in one of them. `next`: where it goes on; undefined at its end. */
export interface UnneededPortion<Place> {
  blobs: Tally
  next: Place | undefined
}

/** What keeps a digest: `path` leads from a tag (or an untagged manifest) down to it. */
export interface Keeper {
  repository: string
  tag: string | undefined
  path: Digest[]
  /** Since when the topmost manifest waits for its collection; undefined when it does not. */
  waitsSince: number | undefined
}

export interface Why {
  blob: { size: number; state: 'live' | 'deleting' | 'damaged'; repositories: number } | undefined
  keepers: Keeper[]
  /** Links that wait for their review. */
  reviews: { repository: string; since: number; cause: Cause }[]
  trash: { repository: string; digest: Digest; deletedAt: number }[]
  discarded: { key: string; dueAt: number; attempts: number }[]
}

/** What one candidate after the other would come to. */
export interface Rehearsal {
  /** Untagged ones, and those that would leave the trash for good. */
  manifests: { repository: string; digest: Digest; size: number }[]
  blobs: { digest: Digest; size: number }[]
  /** False: there are more candidates than were tried. */
  complete: boolean
}

/**
 * The collector's steps. Each is one short transaction; any number of collectors may call them side by side. A crash
 * between any two leaves what the next cycle goes on with. They are relaxed, for a sync a candidate would hold up everybody's:
 * a power cut may bring back what they took, so `sync` comes before anything is unlinked.
 */
export interface Collection {
  /** Candidates that are due, the longest waiting first. */
  links(due: Due, limit: number): Promise<LinkCandidate[]>
  manifests(due: Due, limit: number): Promise<ManifestCandidate[]>
  /** Of manifests deleted at `before` or earlier, the oldest first; without those that an index in the trash still names. */
  trash(before: number, now: number, limit: number): Promise<TrashCandidate[]>
  objects(now: number, limit: number): Promise<ObjectCandidate[]>

  /** Takes the link away unless something needs it or it is not due any more; a blob without any holder becomes `deleting`. */
  takeLink(link: LinkCandidate, due: Due): Promise<Outcome>
  /**
   * Takes a manifest that has no tag, is no child of an index of the repository, and whose subject is not there. While the trash
   * has something that would miss it (an index that names it, its subject), it goes there, whatever the destination.
   */
  takeManifest(manifest: ManifestCandidate, due: Due, destination: Destination): Promise<Outcome>
  /**
   * Takes a manifest out of the trash for good. `busy` as long as an index in the trash names it, which would come back without
   * it.
   */
  purge(trash: TrashCandidate, now: number): Promise<Outcome>
  /** What is under that id in the trash, and the links of its repository to blobs that it holds. */
  buried(id: number): Promise<{ trash: TrashCandidate; links: LinkCandidate[] } | undefined>
  /** Undefined: the repository has nothing under that digest, and nor has its trash. */
  remains(repository: string, digest: Digest): Promise<Remains | undefined>
  /** Resolves when nothing that was done before can be undone by a power cut any more. */
  sync(): Promise<void>
  /** After the bytes were unlinked: their key is free again, and the row of a blob that is `deleting` goes. */
  forget(object: ObjectCandidate): Promise<void>
  /** Puts the candidate off until `notBefore`, and counts the attempt. */
  postpone(candidate: Candidate, notBefore: number): Promise<void>

  /** Of those keys, the ones that no row names. */
  strays(keys: readonly { key: string; digest: Digest }[]): Promise<string[]>
  /** Discards bytes that no row names; false when one does, after all. */
  claim(stray: { key: string; digest: Digest; size: number }, now: number): Promise<boolean>
  /** Adds to what was collected. Relaxed. */
  count(kind: CollectedKind, tally: Tally): Promise<void>

  /** Costs as much as the queues are long, of which it reads indexes alone. */
  status(): Promise<CollectionStatus>
  /** Of the next `limit` links that wait: the blobs that only such links hold. They go when their delay ends. */
  garbage(after: LinkPlace | undefined, limit: number): Promise<UnneededPortion<LinkPlace>>
  /** Of the next `limit` blobs that the trash holds: those that it alone keeps. */
  heldByTrash(after: Digest | undefined, limit: number): Promise<UnneededPortion<Digest>>
  /** At most `limit` of each list. */
  why(digest: Digest, limit: number): Promise<Why>
  /**
   * Looks at a few of at most `limit` candidates, and changes nothing. Undefined until all were looked at: to be called again
   * with the same id. One rehearsal at a time.
   */
  rehearse(rehearsal: { id: string; plan: RehearsalPlan; limit: number }): Promise<Rehearsal | undefined>
}

export interface RehearsalPlan {
  /** Undefined: nothing leaves the trash. */
  trashBefore: number | undefined
  /** Undefined: untagged manifests stay. */
  manifests: { due: Due; destination: Destination } | undefined
  links: Due
}

/** A manifest in the trash, as lists show it. */
export interface TrashRow {
  id: number
  repository: string
  digest: Digest
  mediaType: string
  size: number
  /** That it had when it was deleted. */
  tags: string[]
  reason: 'deleted' | 'collected'
  batch: string | undefined
  actor: string
  deletedAt: number
}

export interface Restored {
  /** Manifests that are back: the one asked for, and what went with it. */
  digests: Digest[]
  /** Tags that point to it again. */
  tags: string[]
  /** Tags that it had, and that another manifest has now. */
  taken: string[]
}

export interface Trash {
  /** Newest first; `before` is an id of an earlier page. */
  list(
    filter: { repository?: string | undefined },
    page: { before?: number | undefined; limit: number },
  ): Promise<TrashRow[]>
  /**
   * Brings back the manifest, children of it that are in the trash, and referrers that were collected with it, with those
   * tags that nobody took meanwhile. Undefined when it is not in the trash.
   */
  restore(repository: string, digest: Digest, change: Change): Promise<Restored | undefined>
  /** Brings back what the deletions of one batch took in the repository: a portion, until there is none left. */
  restoreBatch(repository: string, batch: string, change: Change): Promise<Restored | undefined>
  /** Whether a manifest of the digest was deleted since it was pushed last. */
  find(repository: string, digest: Digest): Promise<TrashRow | undefined>
}

/** One move of a tag. */
export interface TagMove {
  id: number
  tag: string
  /** Undefined: the tag was new. */
  from: Digest | undefined
  /** Undefined: the tag was deleted. */
  to: Digest | undefined
  actor: string
  at: number
}

export type TagRestored =
  | { kind: 'restored'; digest: Digest; from: Digest | undefined }
  /** The tag never had another manifest than the one that it points to now; without a digest: it is not there, and no move of it is known. */
  | { kind: 'unknown'; digest: Digest | undefined }
  /** The manifest is gone for good. */
  | { kind: 'gone'; digest: Digest }
