import type { Algorithm, Digest } from '../oci/digest.ts'

/**
 * Bytes under keys. Every adapter passes `storage.suite.ts`.
 *
 * An upload gathers bytes; `seal` turns it into an object that lasts. Adapters differ in when the object's key is
 * known: the filesystem renames into a path made of the digest, an object store chose the key when the upload began.
 * That is why `seal` returns the key, and why callers keep it (a blob's row carries its key).
 *
 * Errors: an adapter throws `StorageError`; a key that is not there is an answer (`undefined`, `false`), not an error.
 */
export interface Storage {
  /** Starts an empty upload. `id` is unique and is used in names: only `[A-Za-z0-9_-]`. */
  begin(id: string): Promise<StoredUpload>

  /**
   * Adds bytes at the end of an upload, whose present size must be `upload.size`.
   *
   * Never rejects because `body` does: what arrived is kept, and `interrupted` says that the body ended early.
   * Chunks are given away: a buffer that a chunk fills wholly may be transferred to a thread, so nobody else may use it.
   * At most one append at a time for an upload (the caller's duty). Bytes need not be synced when this resolves:
   * after a power cut the upload may be shorter than recorded, which `stat` of the upload (`sizeOf`) shows.
   * @throws StorageError `no-space` when the disk is full: the upload then has the size that `sizeOf` tells.
   */
  append(upload: StoredUpload, body: AsyncIterable<Uint8Array>, algorithm: Algorithm): Promise<Appended>

  /** The bytes that the upload really has, or undefined when nothing is left of it. */
  sizeOf(upload: StoredUpload): Promise<number | undefined>

  /** Reads the upload's bytes once and hashes them. */
  digest(upload: StoredUpload, algorithm: Algorithm): Promise<Digest>

  /**
   * Makes the upload's bytes an object, durable (file and directories synced) when this resolves, and returns its key.
   * Verifies nothing: the caller compared the digest. Never chooses a key of `avoid`: those are in the hands of the collector.
   * The upload is gone afterwards. Sealing equal bytes under a key that exists replaces them atomically.
   */
  seal(upload: StoredUpload, digest: Digest, avoid: readonly string[]): Promise<string>

  /** Forgets an upload; one that is gone already is no error. */
  abort(upload: StoredUpload): Promise<void>

  /** Where an object's bytes are, or undefined when there is none. `size` in bytes. */
  open(key: string): Promise<StoredObject | undefined>

  /** Deletes an object; false when there was none. */
  delete(key: string): Promise<boolean>

  /** Every object below the blobs' root, in no order; with its digest where the key tells it. */
  list(): AsyncIterable<ListedObject>

  /** What is kept of uploads, in no order. */
  uploads(): AsyncIterable<{ id: string; size: number; modified: Date }>

  /** As `list`, and besides everything that lies among objects and uploads and is neither. Links are not followed. */
  survey(): AsyncIterable<Surveyed>

  /** Objects of the digest, whoever knows of them: keys that no row names, too. */
  objectsOf(digest: Digest): Promise<ListedObject[]>

  /** Looks at objects, in the order of the keys; undefined where there is none. No upload waits for it. */
  examine(keys: readonly string[]): Promise<(Examined | undefined)[]>

  /**
   * Reads an object once and hashes it: past the memory that the system has of files, where that can be done, and on a thread that no
   * upload waits for. `onBytes` is waited for after each portion, so that the caller may limit the rate; when it rejects, so does
   * this. Undefined when there is none.
   */
  hash(key: string, algorithm: Algorithm, onBytes: OnBytes): Promise<Hashed | undefined>

  /** Where damaged objects are kept apart. */
  quarantine: Quarantine

  /** Whether it can be reached at all. @throws StorageError */
  check(): Promise<void>

  /** Waits for running work and frees threads and descriptors. */
  close(): Promise<void>
}

export interface ListedObject {
  key: string
  digest: Digest | undefined
  /** Bytes. */
  size: number
  modified: Date
}

/** Bytes of a portion that was read. */
export type OnBytes = (count: number) => Promise<void>

export type Surveyed = ({ kind: 'object' } & ListedObject) | Stranger | UnreadableFolder

/** A folder of objects that the system does not let us read, or the disk does not give. Nobody knows what is in it. */
export interface UnreadableFolder {
  kind: 'unreadable'
  /** Below the storage's root. */
  path: string
  fault: 'forbidden' | 'io'
  message: string
}

/** Something that is no object and no upload, where those are. */
export interface Stranger {
  kind: 'stranger'
  /** Below the storage's root; the key of an object where something else is in its place. */
  path: string
  what: 'file' | 'folder' | 'symbolic link' | 'other'
  size: number
  /** Undefined: its name is no UTF-8, so that it can be looked at by nobody, and `path` shows other bytes as `ls -b` does. */
  modified: Date | undefined
}

export interface Examined {
  /** Bytes that would be served. */
  size: number
  isLink: boolean
  /** False: the system would refuse to open it. */
  isReadable: boolean
}

/** `code`: the system's name of the fault (`EACCES`, `EIO`). */
export type Hashed =
  | { kind: 'hashed'; digest: Digest; size: number }
  | { kind: 'unreadable'; code: string; message: string }

export interface Quarantine {
  /**
   * Moves what is under the key out of the way, durably, and tells its name there; undefined when there was nothing. Without a
   * digest the key is the path of a stranger. `stamp` becomes a part of the name: `[0-9A-Za-z]{1,32}`.
   */
  put(key: string, digest: Digest | undefined, stamp: string): Promise<string | undefined>
  list(): AsyncIterable<Quarantined>
  /** As `Storage.hash`. */
  hash(name: string, algorithm: Algorithm, onBytes: OnBytes): Promise<Hashed | undefined>
  /** Makes it the object of the key again, durably; false when it is not there. */
  restore(name: string, key: string): Promise<boolean>
  /** Deletes it; false when it was not there. */
  remove(name: string): Promise<boolean>
  /** Where an operator finds it. */
  place(name: string): string
}

export interface Quarantined {
  name: string
  /** Of the object that it was; undefined for a stranger. */
  digest: Digest | undefined
  /** As given to `put`; undefined for a file that somebody put there. */
  stamp: string | undefined
  size: number
}

/** An upload as its row keeps it: `state` is the adapter's own JSON, opaque to others. */
export interface StoredUpload {
  id: string
  /** Bytes so far. */
  size: number
  state: string
}

export interface Appended {
  upload: StoredUpload
  /**
   * Digest of all bytes of the upload so far, when the running hash covers them from the first byte; undefined when
   * it does not (the process restarted in between, or another algorithm was used before): `digest` re-reads then.
   */
  digest: Digest | undefined
  /** What ended the body early (client gone, time-out), if anything did. */
  interrupted: unknown
}

export type StoredObject =
  | { kind: 'file'; path: string; size: number }
  | { kind: 'stream'; size: number; read(start: number, end: number): AsyncIterable<Uint8Array> }

/** `io`: the disk itself reports an error. */
/** `forbidden`: files of another user, or modes that do not let this one. */
export type StorageFault = 'no-space' | 'read-only' | 'io' | 'forbidden' | 'failed'

export class StorageError extends Error {
  readonly fault: StorageFault

  constructor(fault: StorageFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.fault = fault
  }
}
