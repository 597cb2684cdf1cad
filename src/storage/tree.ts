import type { Digest } from '../oci/digest.ts'
import type { DistributionFile } from './distribution-path.ts'
import type { StoredUpload } from './storage.ts'

/**
 * What another registry wrote into the data directory: facts only, in bounded portions, whatever the size of the whole.
 * Nothing that is read here is changed, save by the methods that say so. Times are milliseconds since the epoch.
 */
export interface Tree {
  /** Whether there is one that is to be adopted. */
  isThere(): boolean
  /** Whether it was written by Berth for the other registry: what is not in it any more was deleted there. */
  isExport(): boolean
  /**
   * A first look, before anything is changed: how much there is, and what this process may not read or write.
   * `tick` is called now and then with what was counted so far.
   */
  survey(tick: (counted: number) => void): Promise<Survey>
  /** Every blob's file. */
  blobs(): AsyncIterable<TreePart>
  /** Everything else, one repository after the other: its links first, then manifests, tags, uploads. */
  repositories(): AsyncIterable<TreePart>
  /** The bytes of a blob, or why there are none. `limit` in bytes. */
  read(digest: Digest, limit: number): Promise<Uint8Array | 'missing' | 'too-large' | Fault>
  /** Hashes the file of a blob, by the algorithm of its key; undefined when it cannot be read. */
  hash(key: string, size: number): Promise<Digest | undefined>
  /** Whether the file is there; undefined when that cannot be told. */
  has(file: DistributionFile): boolean | undefined

  /** Gives the bytes of `target` a name of their own under `digest`, without copying them. False when the file system cannot. */
  alias(digest: Digest, target: Digest): Promise<boolean>
  /** Makes the bytes of an upload those of one of Berth's own. Undefined when there are none, or its id cannot be one. */
  takeUpload(repository: string, upload: string): Promise<StoredUpload | undefined>
  /**
   * Puts the tree aside, durably, once all of it is in rows, and leaves something in its place that keeps the other registry from
   * writing there, and its collector from deleting. Resolves to its new path below the data directory.
   */
  retire(): Promise<string>
  close(): Promise<void>
}

export interface Survey {
  /** Units of work that `blobs` and `repositories` will have. */
  files: number
  /** Bytes that the rows will take, roughly. */
  rowBytes: number
  /** Paths that this process may not read, or folders where it may not write: the first of them, and how many in all. */
  denied: { paths: string[]; count: number }
  /** What keeps the directory from being used as it is, whatever its permissions. */
  obstacles: string[]
}

/** A portion of what was found: some hundreds of entries at most, all of one kind and repository. */
export type TreePart =
  | { kind: 'blobs'; blobs: TreeBlob[] }
  | { kind: 'repository'; repository: string }
  | { kind: 'layers'; repository: string; links: TreeLink[] }
  | { kind: 'revisions'; repository: string; links: TreeLink[] }
  | { kind: 'tags'; repository: string; tags: TreeTag[] }
  | { kind: 'uploads'; repository: string; uploads: TreeUpload[] }
  | { kind: 'faults'; faults: Fault[] }

export interface TreeBlob {
  digest: Digest
  /** As `StoredBlob.key`. */
  key: string
  /** Bytes. */
  size: number
  modified: number
}

export interface TreeLink {
  digest: Digest
  /** What the link leads to: another digest of the same bytes where it is an alias. */
  target: Digest
  modified: number
}

export interface TreeTag {
  name: string
  digest: Digest
  modified: number
  /** Every manifest that it pointed to, and since when, the oldest first; not the present one. */
  past: { digest: Digest; at: number }[]
}

export interface TreeUpload {
  id: string
  startedAt: number
  modified: number
}

/** What is wrong in the tree. */
export const FAULTS = {
  'empty-link': 'links without content',
  'bad-link': 'links that hold no digest, or another one than their path',
  'dangling-link': 'links to blobs that are not there',
  'missing-manifest': 'manifests whose bytes are not there',
  'damaged-manifest': 'manifests whose bytes have another digest',
  'invalid-manifest': 'manifests that cannot be read',
  'schema-1': 'manifests of the old schema 1',
  'missing-blob': 'blobs that a manifest needs and that are not there',
  'missing-child': 'manifests that an index names and that are not there',
  'unlinked-blob': 'blobs that a manifest needs and that were not linked in its repository',
  'dangling-tag': 'tags that point to no manifest',
  'empty-blob': 'blobs without content',
  'damaged-blob': 'blobs whose bytes have another digest or size',
  'invalid-name': 'names that no client may use',
  'broken-upload': 'uploads that cannot go on',
  unreadable: 'files and folders that cannot be read',
  symlink: 'symbolic links, which are not followed',
  stray: 'files and folders that are not of a registry',
} as const

export type FaultKind = keyof typeof FAULTS

/** Whether the file system refused this process, which is nothing of the tree's. */
export function isDenied({ kind, detail }: Fault): boolean {
  return kind === 'unreadable' && (detail === 'EACCES' || detail === 'EPERM')
}

export interface Fault {
  kind: FaultKind
  /** Below the data directory. */
  path: string
  detail: string
}
