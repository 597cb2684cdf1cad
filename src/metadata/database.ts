import type { ColumnDataType, Expression, Generated, Kysely, QueryCreator } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import type {
  AuditRow,
  CollectedKind,
  DamageReason,
  DeletionState,
  EventRow,
  QuotaSource,
  RetentionCause,
  RetentionRun,
  TokenRow,
  UploadRow,
  UserRow,
} from './metadata.ts'

/**
 * The rows, as every database has them. Numbers arrive as numbers and bytes as Uint8Array: a driver whose database
 * gives 64-bit integers as text converts them. Flags are 0 or 1. Times are milliseconds since the epoch.
 */
export interface Tables {
  /** Steps of the schema that were taken. */
  migrations: { version: number; name: string; applied_at: number }
  /**
   * `removed_at` is set from the deletion of the whole on, until something is pushed or restored; `deletion` names the one that is
   * under way.
   */
  repositories: {
    id: Generated<number>
    name: string
    listed: number
    created_at: number
    removed_at: Generated<number | null>
    deletion: Generated<string | null>
  }
  repository_deletions: RepositoryDeletionsTable
  /** What came into a repository since its deletion began: digests of manifests, and tags. */
  deletion_survivors: { repository_id: number; name: string }
  blobs: BlobsTable
  /** `created_at`: when it was uploaded, mounted or restored last. */
  repository_blobs: { repository_id: number; digest: Digest; created_at: number }
  uploads: UploadsTable
  manifests: ManifestsTable
  manifest_references: { manifest_id: number; repository_id: number; digest: Digest; kind: 'blob' | 'manifest' }
  manifest_blobs: { manifest_id: number; repository_id: number; digest: Digest }
  tags: { repository_id: number; name: string; manifest_id: number; updated_at: number }
  link_reviews: LinkReviewsTable
  manifest_reviews: ReviewColumns & { manifest_id: number }
  discarded_objects: DiscardedObjectsTable
  trash: TrashTable
  /** Gives the trash its ids, none twice; its rows are gone before their transaction ends. */
  trash_ids: { id: Generated<number>; digest: Digest }
  trash_references: {
    trash_id: number
    digest: Digest
    kind: 'blob' | 'manifest'
    /** The same digest while the trash holds the blob. */
    held_digest: Digest | null
  }
  tag_history: TagHistoryTable
  manifest_pulls: PullsColumns & { manifest_id: number }
  tag_pulls: PullsColumns & { repository_id: number; name: string }
  repository_pulls: PullsColumns & { repository_id: number }
  /** `tag` is `''` for the manifest itself. */
  trash_pulls: PullsColumns & { trash_id: number; tag: string }
  /** How much the collector has taken so far; `portion`: how often it went on to unlink what it had marked. */
  collected: { kind: CollectedKind | 'portion'; count: number; bytes: number }
  immutable_rules: ImmutableRulesTable
  /** One for each blob whose state is `damaged`. */
  damaged_blobs: { digest: Digest; reason: DamageReason; found_at: number }
  /** The bytes of manifests that have none in their own row. */
  damaged_manifests: { manifest_id: number; found_at: number; bytes: Uint8Array }
  scrub: ScrubTable
  /** What manifests say of their own end, of those that were looked at. */
  image_expiries: { manifest_id: number; asked: string; after: number | null; at: number | null }
  /** One row, whose id is 1. */
  retention_list: { id: number; revision: number }
  retention_rules: { name: string; position: number; rule: string }
  retention_runs: RetentionRunsTable
  /** One row, whose id is 1. */
  quota_list: { id: number }
  quotas: QuotasTable
  quota_repositories: { repository_id: number; quota_id: number; step: number; cursor: string }
  quota_blobs: { quota_id: number; digest: Digest; size: number; needed: number }
  users: UsersTable
  groups: { name: string; description: string; created_at: number }
  group_members: { group_name: string; user_name: string }
  tokens: TokensTable
  /** One row, whose id is 1. */
  rule_list: { id: number; revision: number }
  rules: RulesTable
  audit: AuditTable
  events: EventsTable
}

interface BlobsTable {
  digest: Digest
  size: number
  storage_key: string
  state: 'live' | 'deleting' | 'damaged'
  created_at: number
}

interface RepositoryDeletionsTable {
  /** Of the manifests that it takes to the trash. */
  batch: string
  repository_id: number
  state: DeletionState
  actor: string
  began_at: number
  /** When it was last known to go on. */
  seen_at: number
  ended_at: number | null
  /** Indexes go before all else; tags of what stays come last. */
  phase: 'indexes' | 'manifests' | 'tags'
  /** A digest, or a tag: what comes after it is to go. */
  last_name: string | null
  /** How many it has taken. */
  manifests: number
  tags: number
  /** A JSON array of what is told with its end. */
  events: string
}

interface UploadsTable {
  id: string
  repository: UploadRow['repository']
  size: number
  state: string
  digest: Digest | null
  boot_id: string
  started_at: number
  updated_at: number
}

interface ManifestsTable {
  id: Generated<number>
  repository_id: number
  digest: Digest
  media_type: string
  size: number
  subject_digest: Digest | null
  artifact_type: string | null
  /** A JSON object of strings. */
  annotations: string | null
  pushed_at: number
  bytes: Uint8Array
}

/** A candidate of the collector. */
interface ReviewColumns {
  /** When something last happened that makes it wait. */
  since: number
  /** 1 when a deletion made it a candidate, and nobody touched it since. */
  freed: number
  /** Reviews that failed, and when the next one may be. */
  attempts: number
  not_before: number
}

interface LinkReviewsTable extends ReviewColumns {
  repository_id: number
  digest: Digest
}

interface DiscardedObjectsTable {
  storage_key: string
  digest: Digest
  size: number
  /** `blob`: its row goes with it; `copy`: other bytes of a digest, or bytes without a row. */
  kind: 'blob' | 'copy'
  attempts: number
  due_at: number
}

interface TrashTable {
  id: Generated<number>
  repository_id: number
  digest: Digest
  media_type: string
  size: number
  subject_digest: Digest | null
  artifact_type: string | null
  annotations: string | null
  pushed_at: number
  /** A JSON array: the tags that it had. */
  tags: string
  reason: 'deleted' | 'collected'
  /** What deletions of one repository have in common. */
  batch: string | null
  actor: string
  deleted_at: number
  attempts: number
  not_before: number
  bytes: Uint8Array
}

interface TagHistoryTable {
  id: Generated<number>
  repository_id: number
  name: string
  from_digest: Digest | null
  to_digest: Digest | null
  actor: string
  at: number
}

interface PullsColumns {
  pulls: number
  last_at: number
}

interface ImmutableRulesTable {
  name: string
  /** A JSON array of patterns; so is `tags`. */
  repositories: string
  tags: string
  comment: string
  created_at: number
}

/** One row, whose id is 1, or none. */
interface ScrubTable {
  id: number
  started_at: number
  last_digest: Digest | null
  ended_at: number | null
  blobs: number
  bytes: number
  damaged: number
}

interface RetentionRunsTable {
  id: Generated<number>
  cause: RetentionCause
  actor: string
  state: RetentionRun['state']
  started_at: number
  /** When it was last known to go on. */
  seen_at: number
  ended_at: number | null
  repositories: number
  tags: number
  manifests: number
  bytes: number
  skipped: number
  error: string | null
}

export interface QuotasTable {
  id: Generated<number>
  prefix: string
  source: QuotaSource
  max_bytes: number | null
  max_tags: number | null
  max_repositories: number | null
  /** `removed`: what it has counted is being forgotten. */
  state: 'counting' | 'exact' | 'removed'
  /** Name of the last repository that it has taken over; null: it has all. */
  taken_to: string | null
  bytes: number
  waiting: number
  tags: number
  repositories: number
  created_at: number
  updated_at: number
}

interface UsersTable {
  name: string
  kind: Generated<UserRow['kind']>
  source: Generated<string>
  password_hash: string | null
  admin: number
  disabled: Generated<number>
  /** A JSON object of arrays of strings. */
  labels: Generated<string>
  /** A JSON array of grants. */
  grants: string | null
  description: Generated<string>
  created_at: number
  updated_at: number
}

interface TokensTable {
  id: string
  hash: string
  kind: TokenRow['kind']
  source: string
  account: string
  name: string
  /** A JSON array of grants. */
  limits: string | null
  stamp: string | null
  created_at: number
  expires_at: number | null
  last_used_at: number | null
  last_used_from: string | null
}

interface RulesTable {
  id: string
  position: number
  /** A JSON object: the conditions. */
  match: string
  /** A JSON array of strings. */
  actions: string
  comment: string
}

interface AuditTable extends AuditRow {
  id: Generated<number>
}

interface EventsTable {
  id: Generated<number>
  event: string
  endpoint: string
  at: number
  action: EventRow['action']
  repository: string
  tag: string | null
  digest: Digest | null
  media_type: string | null
  state: EventRow['state']
  attempts: number
  queued_at: number
  tried_at: number | null
  retry_at: number | null
  result: string
  /** A JSON object. */
  detail: string
}

/** What builds and runs queries: inside a transaction it belongs to that transaction alone. */
export type Handle = QueryCreator<Tables> & Pick<Kysely<Tables>, 'executeQuery'>

/**
 * The port to one database. The files of the nouns hold the SQL once, over this; a driver file implements it.
 *
 * SQL that a noun writes must mean the same in SQLite and PostgreSQL. Locks of rows (`forUpdate`, `forShare`) are
 * always written, in the order blob, repository; SQLite's compiler leaves them out, for it has a single writer.
 */
export interface Database {
  /** For queries outside transactions. Throws when it is used while a body runs on the same connection. */
  readonly read: Handle
  /**
   * Runs the body in one transaction; an error of the body rolls all of it back and is thrown on. The body does no
   * other I/O and uses only the handle that it gets; past the driver's time limit it fails. `durable: false` may be lost
   * in a power cut (never in a crash of the process).
   */
  transaction<T>(body: (trx: Handle) => Promise<T>, options: { durable: boolean }): Promise<T>
}

type ColumnType = ColumnDataType | Expression<unknown>

/** Where databases spell a column's type differently. `text` must compare by bytes, whatever the locale. */
export interface ColumnTypes {
  /** A primary key that numbers itself. SQLite gives the number of the newest row again once that is gone. */
  id: ColumnType
  /** The same for the rows of another table, whose numbers it gives from then on; none is given twice. */
  lastingId(table: string): ColumnType
  /** 64 bits. */
  integer: ColumnType
  text: ColumnType
  bytes: ColumnType
}

/** Values of one `in (...)`: far below what any database takes as parameters of a statement. */
const CHUNK = 500

/** Runs the query for the values in bounded portions and joins the rows. */
export async function inChunks<V, R>(values: readonly V[], query: (chunk: V[]) => Promise<R[]>): Promise<R[]> {
  const rows: R[] = []
  for (let start = 0; start < values.length; start += CHUNK) {
    rows.push(...(await query(values.slice(start, start + CHUNK))))
  }
  return rows
}
