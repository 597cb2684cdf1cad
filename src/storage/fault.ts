import { StorageError, type StorageFault } from './storage.ts'

const FAULTS: Record<string, StorageFault> = {
  ...{ ENOSPC: 'no-space', EDQUOT: 'no-space', EROFS: 'read-only', EIO: 'io' },
  ...{ EACCES: 'forbidden', EPERM: 'forbidden' },
}

/** A `StorageError` as it crosses from a Worker, where classes do not survive. */
export interface Fault {
  fault: StorageFault
  message: string
}

/** `ENOENT` and the like, of an error that a system call ended with. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What a failed system call means to callers of storage; `doing` completes "cannot ...". */
export function faultOf(error: unknown, doing: string): Fault {
  if (error instanceof StorageError) return { fault: error.fault, message: error.message }
  const fault = FAULTS[errnoOf(error) ?? ''] ?? 'failed'
  return { fault, message: `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}` }
}

export function storageError(error: unknown, doing: string): StorageError {
  if (error instanceof StorageError) return error
  const { fault, message } = faultOf(error, doing)
  return new StorageError(fault, message, error)
}
