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

export type StorageFault = 'no-space' | 'read-only' | 'failed'

export class StorageError extends Error {
  readonly fault: StorageFault

  constructor(fault: StorageFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.fault = fault
  }
}
