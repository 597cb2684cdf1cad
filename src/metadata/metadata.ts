import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Groups, Rules, Tokens, Users } from './account-types.ts'
import type { Adoption } from './adoption-types.ts'
import type { Audit } from './audit-types.ts'
import type { Cause, Change, Collection, TagMove, TagRestored, Trash } from './collection-types.ts'
import type { Deletions } from './deletion-types.ts'
import type { Events, NewEvent } from './event-types.ts'
import type { Denial, ImmutableRules, Quotas, TagProtection } from './limit-types.ts'
import type { Pulls } from './pull-types.ts'
import type { Overview, Renamed, RepositoryChange } from './repository-types.ts'
import type { Retention } from './retention-types.ts'
import type { Status } from './status-types.ts'
import type { Verification } from './verification-types.ts'

export type * from './account-types.ts'
export type * from './adoption-types.ts'
export type * from './audit-types.ts'
export type * from './collection-types.ts'
export type * from './deletion-types.ts'
export type * from './event-types.ts'
export type * from './limit-types.ts'
export type * from './pull-types.ts'
export type * from './repository-types.ts'
export type * from './retention-types.ts'
export type * from './status-types.ts'
export type * from './verification-types.ts'

/**
 * Rows: what the registry knows about the bytes in storage. Every adapter passes `metadata.suite.ts`.
 *
 * Each method is one transaction (or one query). It has happened, durably, when its promise resolves; those marked
 * "relaxed" survive a crash of the process, but not always a power cut. Lists are in byte order of the UTF-8 text and
 * cost a page, however long the whole is. `now` is milliseconds since the epoch, given by the caller.
 */
export interface Metadata {
  repositories: Repositories
  deletions: Deletions
  blobs: Blobs
  uploads: Uploads
  manifests: Manifests
  tags: Tags
  referrers: Referrers
  contents: Contents
  collection: Collection
  trash: Trash
  pulls: Pulls
  overview: Overview
  immutable: ImmutableRules
  retention: Retention
  quotas: Quotas
  users: Users
  groups: Groups
  tokens: Tokens
  rules: Rules
  audit: Audit
  events: Events
  adoption: Adoption
  status: Status
  verification: Verification
  close(): Promise<void>
}

export interface Page {
  /** Only what comes after this text; undefined for the first page. */
  last?: string | undefined
  limit: number
}

export interface Repositories {
  /** Names of repositories that have a manifest. */
  list(page: Page): Promise<string[]>
  /** Whether it has a manifest. */
  isListed(name: string): Promise<boolean>
  /** Whether anything was ever pushed there, even if all is deleted now; not after the repository was deleted whole. */
  exists(name: string): Promise<boolean>
  /**
   * Gives the repository another name: manifests, tags, links, trash, history and pulls follow; uploads under way go on under the
   * old name. Changes nothing while it is being deleted (`deleting`), or where that name is taken: by a repository (`exists`), one that
   * was deleted and lies in the trash (`in-trash`), or blobs that wait for a manifest or the collector (`in-use`).
   *
   * Where quotas are over the new name that were not over the old one, they count the repository first, in portions of `most`
   * manifests (100 unless told), and have the room from then on: as long as that goes on, the answer is `counting`, and the same call
   * goes on. What quotas of the old name alone counted is taken back by `Quotas.count`. One that is refused leaves no more than
   * that. @throws MetadataError `denied` where a quota has no room, or a tag is protected
   */
  rename(
    from: string,
    to: string,
    change: RepositoryChange & { most?: number | undefined },
  ): Promise<Renamed | 'counting'>
}

/**
 * A blob's row. `live` can be read and mounted; `deleting` is in the hands of the collector, and the bytes of one that is `damaged` are
 * known to be bad: both are invisible to clients.
 */
export interface StoredBlob {
  digest: Digest
  /** Bytes. */
  size: number
  key: string
  state: 'live' | 'deleting' | 'damaged'
}

export interface Blobs {
  /** The live blob, if it is linked in the repository. */
  find(repository: string, digest: Digest): Promise<StoredBlob | undefined>
  /** The blob's row, whatever repository has it. */
  locate(digest: Digest): Promise<StoredBlob | undefined>
  /**
   * Ends an upload: makes sure that the digest has a live row, links it in the repository, removes the upload's row.
   *
   * `key` is where the caller's bytes are. A live row keeps its own key, unless that is `replaces` (the caller found
   * its bytes missing or damaged). A row that is `deleting` or `damaged` is taken over under `key`.
   * Resolves to the key that holds from now on; or to undefined, having changed nothing, when `key` is the key of a
   * row that is `deleting`, or discarded (the caller must seal under another one), or when `key` is undefined (the caller has no
   * bytes of its own, for it saw a live row) and there is no live row any more.
   */
  commit(commit: BlobCommit): Promise<string | undefined>
  /** Keys of the digest that are in the hands of the collector: no commit takes them. */
  discarded(digest: Digest): Promise<string[]>
  /** Whether the link waits for the collector; undefined when there is no live blob linked in the repository. */
  review(repository: string, digest: Digest): Promise<LinkReview | undefined>
  /** The delay of a link that waits begins anew. Resolves to whether a live blob is linked in the repository. */
  touch(repository: string, digest: Digest, now: number): Promise<boolean>
  /**
   * Links a live blob in `to` if any repository of `from` has it; `from: 'any'` stands for every repository.
   * Resolves to whether it did.
   */
  mount(mount: {
    digest: Digest
    from: readonly string[] | 'any'
    to: string
    now: number
    events?: readonly NewEvent[]
  }): Promise<boolean>
  /**
   * Takes the link away. Refuses (`referenced`) while a manifest of the repository needs the blob. The blob becomes `deleting`
   * when nothing else holds it.
   */
  unlink(
    repository: string,
    digest: Digest,
    change: { now: number; events?: readonly NewEvent[] },
  ): Promise<'unlinked' | 'unknown' | { referencedBy: Digest }>
}

/** `since`: when it began to wait; `settled`: a manifest needs it. */
export type LinkReview = { kind: 'settled' } | { kind: 'waiting'; since: number; cause: Cause }

export interface BlobCommit {
  repository: string
  digest: Digest
  size: number
  key: string | undefined
  replaces?: string | undefined
  /** Id of the upload whose row ends with this. */
  upload: string
  now: number
  /** Here and elsewhere: written if, and only if, the change happens. */
  events?: readonly NewEvent[]
}

export interface UploadRow {
  id: string
  repository: string
  /** Bytes received. */
  size: number
  /** The storage adapter's own state. */
  state: string
  /** Digest of the bytes so far, valid only within the same boot of the machine. */
  digest: Digest | undefined
  bootId: string
  startedAt: number
  updatedAt: number
}

export interface Uploads {
  /** Relaxed. */
  start(row: UploadRow): Promise<void>
  find(repository: string, id: string): Promise<UploadRow | undefined>
  /**
   * Records progress, if the row still has size `from`; otherwise resolves to false and changes nothing. Relaxed.
   */
  advance(
    id: string,
    from: number,
    to: Pick<UploadRow, 'size' | 'state' | 'digest' | 'bootId' | 'updatedAt'>,
  ): Promise<boolean>
  /** Whether there is one of that id, whatever its repository. */
  exists(id: string): Promise<boolean>
  /** Resolves to whether there was one. */
  remove(id: string): Promise<boolean>
  /** Those of a repository that began at `startedBy` or earlier. */
  of(repository: string, startedBy: number, limit: number): Promise<UploadRow[]>
  /** Those that have bytes, in the order of their ids, after this one. */
  underWay(
    after: string | undefined,
    limit: number,
  ): Promise<Pick<UploadRow, 'id' | 'repository' | 'size' | 'updatedAt'>[]>
  /** How many there are; `limit`, where there are more. */
  count(limit: number): Promise<number>
  /** Uploads that were last touched before `before`, oldest first. */
  stale(before: number, limit: number): Promise<UploadRow[]>
}

export interface StoredManifest {
  digest: Digest
  mediaType: string
  /** Verbatim, as pushed. */
  bytes: Uint8Array
}

/** Something that a manifest names. Required ones must be in the repository when the manifest is put. */
export interface Reference {
  digest: Digest
  /** What is named as both is there if it is there as either. */
  kind: 'blob' | 'manifest'
  required: boolean
}

export interface ManifestPut extends StoredManifest {
  repository: string
  /** Names that point to the manifest from now on; none for a put by digest. */
  tags: readonly string[]
  references: readonly Reference[]
  subject: Digest | undefined
  /** As a referrers answer shows it: the manifest's `artifactType`, else its config's media type. */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  now: number
  events?: readonly NewEvent[]
  /** Who pushes: a subject's name, `''` without credentials. */
  actor: string
  /** Tags that exist and are protected are not moved: MetadataError `denied`. */
  protections?: readonly TagProtection[]
}

export interface Manifests {
  find(repository: string, digest: Digest): Promise<StoredManifest | undefined>
  /** By tag. */
  resolve(repository: string, tag: string): Promise<StoredManifest | undefined>
  /** One transaction: checks the required references, stores the manifest, moves the tags. Stores nothing when some are missing. */
  put(put: ManifestPut): Promise<{ stored: true } | { stored: false; missing: Reference[] }>
  /**
   * Moves the manifest to the trash, and takes away every tag that points to it. Undefined when it is not there. `freed` are
   * blobs that no manifest of the repository needs any more. `batch` names what is deleted, and restored, together. Each event is
   * written for the manifest, and then once more for each tag.
   * @throws MetadataError `denied` when one of its tags is protected
   */
  delete(
    repository: string,
    digest: Digest,
    change: Change & { batch?: string; events?: readonly NewEvent[]; protections?: readonly TagProtection[] },
  ): Promise<{ tags: string[]; freed: Digest[] } | undefined>
  /** Digests of a repository's manifests, in byte order; `page.last` is a digest. */
  list(repository: string, page: Page): Promise<Digest[]>
}

export interface Tags {
  /** Undefined when the repository does not exist. */
  list(repository: string, page: Page): Promise<string[] | undefined>
  /**
   * Takes the tag away, and nothing else. Resolves to the digest that it had.
   * @throws MetadataError `denied` when it is protected
   */
  delete(
    repository: string,
    tag: string,
    change: Change & { events?: readonly NewEvent[]; protections?: readonly TagProtection[] },
  ): Promise<Digest | undefined>
  /** Moves of one tag, or of all of the repository, the newest first; `before` is an id of an earlier page. */
  history(
    repository: string,
    tag: string | undefined,
    page: { before?: number | undefined; limit: number },
  ): Promise<TagMove[]>
  /**
   * Points the tag to `to`, or else to what it pointed to before its last move. The manifest comes back from the trash, if
   * it is there.
   * @throws MetadataError `denied` when it is protected and points elsewhere
   */
  restore(
    repository: string,
    tag: string,
    to: Digest | undefined,
    change: Change & { protections?: readonly TagProtection[] },
  ): Promise<TagRestored>
}

export interface Referrers {
  /**
   * Manifests of the repository whose subject is `subject`, in byte order of their digests.
   * `page.last` is a digest. Descriptors carry `artifactType` and `annotations` where the manifest has them.
   * A page ends early when its annotations come to some MiB: `more` says that there may be further ones after the last.
   */
  list(
    repository: string,
    subject: Digest,
    artifactType: string | undefined,
    page: Page,
  ): Promise<{ descriptors: Descriptor[]; more: boolean }>
}

/** What a repository holds, in numbers. */
export interface RepositoryContents {
  name: string
  manifests: number
  tags: number
  /** Blobs linked there, and their bytes; blobs of several repositories count in each. */
  blobs: number
  bytes: number
}

export interface ContentManifest extends StoredManifest {
  subject: Digest | undefined
  /** As a referrers answer shows it. */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  pushedAt: number
  isTagged: boolean
  /** Whether an index of the repository names it. */
  isChild: boolean
}

export interface ContentTag {
  name: string
  digest: Digest
  /** When it was last moved. */
  updatedAt: number
}

/** What a tag was pointed to, once. */
export interface ContentMove {
  id: number
  tag: string
  digest: Digest
  at: number
}

/**
 * Everything that repositories hold, for whoever copies all of it: pages of bounded size, each one query, so that the
 * whole may change between two of them. `page.last` is a name or a digest.
 */
export interface Contents {
  /** Every repository that holds anything, listed or not. */
  repositories(page: Page): Promise<RepositoryContents[]>
  /**
   * Manifests in byte order of their digests: all, or what a tag points to, the one of a digest, or those with a subject.
   * A page ends early when its bytes come to some MiB: `more` says that there may be further ones after the last.
   */
  manifests(
    repository: string,
    filter: { tag?: string | undefined; digest?: Digest | undefined; subject?: Digest | undefined },
    page: Page,
  ): Promise<{ manifests: ContentManifest[]; more: boolean }>
  tags(repository: string, page: Page): Promise<ContentTag[]>
  /** The history of its tags, oldest first; of tags that are gone, too. `last` is an id. */
  moves(repository: string, page: { last?: number | undefined; limit: number }): Promise<ContentMove[]>
  /** Live blobs that are linked in the repository, in byte order of their digests: all, or the one of a digest. */
  blobs(repository: string, filter: { digest?: Digest | undefined }, page: Page): Promise<StoredBlob[]>
}

/**
 * `io`: the disk itself reports an error. `corrupt`: what it gives is no whole database. `denied`: a limit of the registry's
 * owner forbids it.
 */
export type MetadataFault = 'no-space' | 'read-only' | 'io' | 'corrupt' | 'failed' | 'denied'

/** The database could not do it, or must not; nothing of the call has happened. */
export class MetadataError extends Error {
  readonly fault: MetadataFault
  /** Of the fault `denied`: what forbids it. */
  readonly denial: Denial | undefined

  constructor(fault: MetadataFault, message: string, cause?: unknown, denial?: Denial) {
    super(message, { cause })
    this.name = 'MetadataError'
    this.fault = fault
    this.denial = denial
  }
}
