import type { Algorithm, Digest } from '../oci/digest.ts'
import type { Fault } from './fault.ts'
import type { Examined } from './storage.ts'

/** What the main thread asks of a write Worker. `call` numbers a conversation; every one ends with `done` or `failed`. */
export type WriteRequest =
  | { kind: 'create'; call: number; path: string }
  | ({ kind: 'append'; call: number } & AppendStart & WriteBatch)
  | ({ kind: 'more'; call: number } & WriteBatch)
  | { kind: 'digest'; call: number; path: string; size: number; algorithm: Algorithm }
  | ({ kind: 'seal'; call: number } & SealRequest)
  | { kind: 'abort'; call: number; id: string; path: string }
  | { kind: 'delete'; call: number; path: string }
  | ({ kind: 'scan'; call: number } & ScanRequest)
  | { kind: 'scan-end'; call: number; id: number }
  | { kind: 'examine'; call: number; paths: readonly string[] }
  | { kind: 'move'; call: number; from: string; to: string }
  | { kind: 'place'; call: number; path: string; root: string; key: string }

/** The next portion of a file that is read once from its beginning. */
export interface ScanRequest {
  id: number
  path: string
  algorithm: Algorithm
}

export interface AppendStart {
  id: string
  path: string
  /** Size that the file must have before; what lies beyond is cut off. Bytes. */
  from: number
  algorithm: Algorithm
}

export interface WriteBatch {
  chunks: Uint8Array[]
  /** Whether the append ends with this batch. */
  last: boolean
}

export interface SealRequest {
  id: string
  path: string
  /** Bytes that count: a file that has fewer is refused, what it has beyond is cut off. */
  size: number
  /** Absolute path of the storage's directory, which exists. */
  root: string
  /** Where the bytes go, relative to `root`. */
  key: string
}

export type WriteReply =
  /** Bytes of a batch are written: the sender may send as many again. */
  | { kind: 'written'; call: number; bytes: number }
  | { kind: 'done'; call: number; result: WriteResult }
  | ({ kind: 'failed'; call: number } & Fault)

export interface WriteResult {
  /** Size of the upload after an append. Bytes. */
  size?: number
  digest?: Digest | undefined
  /** Whether there was something to delete, move or read. */
  found?: boolean
  /** Of a scan: bytes of this portion; with `digest` the last. */
  read?: number
  unreadable?: { code: string; message: string }
  examined?: (Examined | undefined)[]
}
