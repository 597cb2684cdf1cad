import type { Digest } from '../oci/digest.ts'
import type { WrittenRetentionRule } from '../oci/retention-rule.ts'
import type { NewEvent } from './event-types.ts'

/** What an image says of its own end: so long after its push, or at a moment. Neither: it says nothing. Milliseconds. */
export interface ImageExpiry {
  /** The annotations and labels that were looked for. */
  asked: string
  after: number | undefined
  at: number | undefined
}

/** What retention decides about. */
export interface RetentionCandidate {
  manifestId: number
  digest: Digest
  /** Milliseconds since the epoch: the tag's last push; of a manifest without a tag, when it began to wait for the collector. */
  pushedAt: number
  /** Undefined: nobody has looked yet. */
  expiry: ImageExpiry | undefined
}

export interface RetentionTag extends RetentionCandidate {
  name: string
}

/** Where a manifest stands, for whoever asks what its deletion brings. */
export interface ManifestPlace {
  id: number
  digest: Digest
  /** Bytes of the manifest itself. */
  size: number
  isTagged: boolean
  /** Indexes of the repository that name it. */
  parents: number[]
  /** Its subject, if the repository has it. */
  subject: number | undefined
  /** Manifests of the repository that it names, or that have it as their subject. */
  below: number[]
}

/** A blob that some manifests need, and how many of those. */
export interface NeededBlob {
  digest: Digest
  size: number
  manifests: number
}

/** Who needs a blob at all. */
export interface BlobHolders {
  digest: Digest
  /** Manifests of the repository that need it. */
  manifests: number
  /** Whether another repository has it. */
  elsewhere: boolean
}

/** One deletion of a plan: it happens if everything is still as it was then. */
export interface RetentionStep {
  kind: 'tag' | 'manifest'
  /** The tag, or the manifest's digest. */
  name: string
  digest: Digest
  pushedAt: number
  /** Whether it may be the last tag (or, where there are none, the last manifest) of the repository. */
  mayEmpty: boolean
  /** What history and trash have as the cause. */
  actor: string
  /** Written if it is deleted. */
  events: readonly NewEvent[]
  /** Written if its manifest goes, too. */
  manifestEvents: readonly NewEvent[]
}

/** `changed`: it moved, or something needs it since; `last`: the repository would be empty. */
export type RetentionOutcome = 'deleted' | 'changed' | 'last'

export interface RetentionTaken {
  /** Of each step, in their order. */
  outcomes: RetentionOutcome[]
  /** Manifests that are in the trash now: those that lost their last tag, their children, and what referred to them. */
  buried: Digest[]
  /** Blobs that no manifest of the repository needs any more. */
  freed: Digest[]
  /** Of the manifests, and of freed blobs that no other repository has. */
  bytes: number
}

export type RetentionCause = 'schedule' | 'asked' | 'prune'

export interface RetentionCounts {
  /** Repositories that were looked at. */
  repositories: number
  tags: number
  manifests: number
  bytes: number
  /** Deletions of the plan that did not happen, for something changed meanwhile. */
  skipped: number
}

export interface RetentionRun extends RetentionCounts {
  id: number
  cause: RetentionCause
  actor: string
  state: 'running' | 'done' | 'failed' | 'stopped'
  startedAt: number
  endedAt: number | undefined
  error: string | undefined
}

export interface Retention {
  /** Tags in byte order. */
  tags(repository: string, page: { last?: string | undefined; limit: number }): Promise<RetentionTag[]>
  /**
   * Manifests in byte order of their digests that have no tag, are no children of an index and have no subject in the repository. Each call
   * looks at `limit` manifests: `next` is where the next one begins, undefined at the end.
   */
  untagged(
    repository: string,
    page: { last?: string | undefined; limit: number },
  ): Promise<{ manifests: RetentionCandidate[]; next: string | undefined }>
  /** Remembers what images say of their own end. What is gone meanwhile is left out. Relaxed. */
  examined(rows: readonly (ImageExpiry & { manifestId: number; digest: Digest })[]): Promise<void>
  /** Where these manifests stand; those that are gone are left out. */
  places(manifestIds: readonly number[]): Promise<ManifestPlace[]>
  /** The blobs that these manifests need, each once. */
  needed(manifestIds: readonly number[]): Promise<NeededBlob[]>
  /** Who has them besides: of blobs that some manifest of the repository needs. */
  holders(repository: string, digests: readonly Digest[]): Promise<BlobHolders[]>
  /**
   * Deletes, in one transaction, what is as the steps have it. A manifest that loses its last tag so goes to the trash under the
   * batch, unless an index or a subject of the repository needs it, with its children and referrers that nothing else needs.
   */
  take(
    repository: string,
    steps: readonly RetentionStep[],
    change: { now: number; batch: string },
  ): Promise<RetentionTaken>

  /** Rules in their order; the revision grows with each change. */
  rules(): Promise<{ revision: number; rules: WrittenRetentionRule[] }>
  /** Puts a list in the place of the one with that revision; false when it has another. */
  replaceRules(revision: number, rules: readonly WrittenRetentionRule[]): Promise<boolean>

  /**
   * Begins a run, in the database's name: of several processes one does. `busy`: one is under way that was seen at `seenAfter` or later; others that
   * say they run have failed. `early`: a scheduled one, and the last scheduled one began after `dueBefore`.
   */
  begin(run: {
    cause: RetentionCause
    actor: string
    now: number
    seenAfter: number
    dueBefore: number | undefined
  }): Promise<{ id: number } | 'busy' | 'early'>
  /** How far it is: it goes on living. Relaxed. */
  progress(id: number, counts: RetentionCounts, now: number): Promise<void>
  end(
    id: number,
    end: RetentionCounts & Pick<RetentionRun, 'error'> & { state: RetentionRun['state']; now: number },
  ): Promise<void>
  /** The last ones first. */
  runs(page: { before?: number | undefined; limit: number }): Promise<RetentionRun[]>
  /** The last scheduled one. */
  lastScheduled(): Promise<RetentionRun | undefined>
}
