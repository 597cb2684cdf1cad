import type { Digest } from '../oci/digest.ts'
import type { StoredBlob, UploadRow } from './metadata.ts'

/** What is wrong with the bytes of a blob: there are none, or another number of them, or others, or the disk does not give them. */
export type DamageReason = 'missing' | 'size' | 'digest' | 'unreadable'

/** A blob whose bytes are known to be bad: nobody is given it, and the next push of the digest brings it back. */
export interface DamagedBlob {
  digest: Digest
  /** Bytes that it should have. */
  size: number
  /** Where its bytes were. */
  key: string
  reason: DamageReason
  /** Milliseconds since the epoch. */
  foundAt: number
}

/**
 * Rows that other rows promise, or forbid. `link`: that a blob is in a repository; `hold`: that a manifest needs a link; `grave`: what
 * a manifest in the trash holds.
 */
export type RowFault =
  | { kind: 'link-without-blob'; repository: string; digest: Digest }
  /** Nothing needs the link, and the collector does not know of it: the blob would stay for ever. */
  | { kind: 'link-unreviewed'; repository: string; digest: Digest }
  /** A manifest holds a blob that its repository has lost. */
  | { kind: 'link-missing'; repository: string; manifest: Digest; digest: Digest }
  /** A manifest names a blob that its repository has, and does not hold it: the collector could take it. */
  | { kind: 'hold-missing'; repository: string; manifest: Digest; digest: Digest }
  | { kind: 'tag-without-manifest'; repository: string; tag: string }
  /** Nothing needs the manifest, and the collector does not know of it. */
  | { kind: 'manifest-unreviewed'; repository: string; digest: Digest }
  /** No repository has the blob, nothing in the trash holds it, and it is not being deleted. */
  | { kind: 'blob-unheld'; digest: Digest }
  /** The row waits for bytes to be unlinked, and nobody unlinks them. */
  | { kind: 'blob-undiscarded'; digest: Digest; key: string }
  /** The bytes of a blob that is in use are in the hands of the collector. */
  | { kind: 'blob-discarded'; digest: Digest; key: string }
  | { kind: 'repository-listed'; repository: string; listed: boolean }
  | { kind: 'grave-without-blob'; repository: string; manifest: Digest; digest: Digest }

/** Each looks through one table. */
export const ROW_CHECKS = [
  'links',
  'holds',
  'references',
  'tags',
  'manifests',
  'blobs',
  'repositories',
  'graves',
] as const
export type RowCheck = (typeof ROW_CHECKS)[number]

/** Where to go on in a table: the key of the last row that was looked at. */
export type RowCursor = (string | number)[]

export interface RowPortion {
  faults: RowFault[]
  /** Rows that were looked at. */
  rows: number
  /** Undefined: that was the last of them. */
  next: RowCursor | undefined
}

/** A manifest with what its rows tell of it. */
export interface ManifestRows {
  id: number
  repository: string
  digest: Digest
  mediaType: string
  /** Empty once they are known to be damaged. */
  bytes: Uint8Array
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  /** `isThere`: the repository has it. */
  references: { digest: Digest; kind: 'blob' | 'manifest'; isThere: boolean }[]
}

/** What a manifest's own bytes say. */
export interface ManifestFacts {
  references: readonly { digest: Digest; kind: 'blob' | 'manifest' }[]
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/** A tag that leads to something, through indexes maybe; or a manifest that names it and has no tag. */
export interface Affected {
  repository: string
  tag: string | undefined
  manifest: Digest
}

/** How far the scrub has come. Times in milliseconds since the epoch. */
export interface ScrubState {
  /** Of the pass under way, or of the last one. */
  startedAt: number
  /** Last blob that was hashed; undefined at the beginning of a pass. */
  last: Digest | undefined
  /** Undefined: it is under way. */
  endedAt: number | undefined
  /** Hashed in this pass. */
  blobs: number
  bytes: number
  /** Found in this pass. */
  damaged: number
}

/**
 * Looks at rows, portion by portion, and sets right what other rows prove. A portion is one query for each thing that is
 * looked for, so that what one transaction does never looks half done.
 */
export interface Verification {
  /** Blobs of any state, in byte order of their digests. */
  blobs(page: { last?: Digest | undefined; limit: number }): Promise<StoredBlob[]>
  /** In the order of their ids. */
  uploads(page: { last?: string | undefined; limit: number }): Promise<UploadRow[]>
  rows(check: RowCheck, after: RowCursor | undefined, limit: number): Promise<RowPortion>
  /** By id; a page ends early when its bytes come to some MiB. */
  manifests(after: number, limit: number): Promise<ManifestRows[]>

  /**
   * Sets right what `rows` found, if it is still so. Durable. False: nothing was to be done, or nothing can be done here
   * (`link-without-blob`; `link-missing` and `tag-without-manifest` where nothing tells what they were).
   */
  mend(fault: RowFault, now: number): Promise<boolean>
  /** Writes the rows of a manifest anew, as its bytes say. False: the repository has no such manifest. */
  rederive(repository: string, digest: Digest, facts: ManifestFacts, now: number): Promise<boolean>
  /**
   * Of a manifest whose bytes are damaged: they come back from another repository, or the trash, if they are whole there
   * (`mended`); otherwise nobody is given the manifest until it is pushed again (`damaged`). Undefined: its bytes are whole.
   */
  mendManifest(repository: string, digest: Digest, now: number): Promise<'mended' | 'damaged' | undefined>

  /** From now on the blob's bytes under that key are known to be bad. False: it is not live under that key. */
  damage(blob: { digest: Digest; key: string; reason: DamageReason; now: number }): Promise<boolean>
  /**
   * The blob's bytes are under that key, and whole: a damaged one is live again, one whose row was lost has a row again. False:
   * it is live already, or being deleted, or the key is discarded.
   */
  revive(blob: { digest: Digest; key: string; size: number; now: number }): Promise<boolean>
  /** In byte order of their digests. */
  damaged(page: { last?: Digest | undefined; limit: number }): Promise<DamagedBlob[]>
  countDamaged(): Promise<number>
  /** What cannot be pulled whole without the blob or manifest; at most `limit`. */
  affected(digest: Digest, limit: number): Promise<Affected[]>

  scrub(): Promise<ScrubState | undefined>
  /** Relaxed. */
  setScrub(state: ScrubState): Promise<void>
}
