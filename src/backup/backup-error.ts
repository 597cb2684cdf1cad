import { errnoOf } from '../storage/fault.ts'
import { StorageError } from '../storage/storage.ts'

/** A backup that cannot be made or restored, with a text for its user. */
export class BackupError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'BackupError'
  }
}

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'this user may not read or write there',
  EPERM: 'this user may not read or write there',
  ENOTDIR: 'a part of the path is a file',
  EIO: 'the disk fails',
}

/** What the system refused, in words; any other error as it is. `doing` begins the sentence, `advice` ends it. */
export function explained(error: unknown, doing: string, advice: string): unknown {
  if (error instanceof StorageError) return new BackupError(`${doing}: ${error.message}. ${advice}`, error)
  const reason = REASONS[errnoOf(error) ?? '']
  if (reason === undefined) return error
  const path = error instanceof Error && 'path' in error ? ` (${String(error.path)})` : ''
  return new BackupError(`${doing}: ${reason}${path}. ${advice}`, error)
}
