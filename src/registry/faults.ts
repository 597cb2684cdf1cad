import { MetadataError } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'
import { StorageError } from '../storage/storage.ts'
import { denied } from './denial.ts'

const ANSWERS = {
  'no-space': 'the registry has no space left on its disk; nothing was stored',
  'read-only': 'the registry cannot write to its disk',
  io: 'the disk of the registry reports errors; its operator has to look at it',
  forbidden: 'files of the registry belong to another user than it runs as; its operator has to give them back',
  corrupt: 'the database of the registry is damaged, or its disk reports errors; its operator has to look at it',
} as const

/**
 * What a client is told of a fault of the disk or the database: UNAVAILABLE (no client caused it), with the cause for the log;
 * and of what a limit forbids: DENIED, with the limit. Undefined: it is another error.
 */
export function answerToFault(error: unknown): RegistryError | undefined {
  if (error instanceof MetadataError && error.denial !== undefined) return denied(error.denial)
  if (!(error instanceof StorageError || error instanceof MetadataError)) return undefined
  if (error.fault === 'failed' || error.fault === 'denied') return undefined
  return new RegistryError('UNAVAILABLE', { message: ANSWERS[error.fault], cause: error })
}

/** The same of a stored file that could not be opened, once its answer had begun. */
export function answerToFile(error: unknown): RegistryError | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return new RegistryError('BLOB_UNKNOWN', { cause: error })
  if (code !== 'EACCES' && code !== 'EPERM') return undefined
  return new RegistryError('UNAVAILABLE', { message: ANSWERS.forbidden, cause: error })
}

/**
 * Runs a use case; a fault of the disk or the database, and what a limit forbids, become an answer that a client can show.
 * Anything else passes as it is.
 */
export async function withFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw answerToFault(error) ?? error
  }
}
