import { MetadataError } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'
import { StorageError } from '../storage/storage.ts'
import { denied } from './denial.ts'

const ANSWERS = {
  'no-space': 'the registry has no space left on its disk; nothing was stored',
  'read-only': 'the registry cannot write to its disk',
} as const

/**
 * Runs a use case; a full or read-only disk becomes an answer that a client can show (UNAVAILABLE), with the cause for the log.
 * What a limit
 * forbids becomes DENIED, with the limit. Anything else passes as it is.
 */
export async function withFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MetadataError && error.denial !== undefined) throw denied(error.denial)
    if (error instanceof StorageError || error instanceof MetadataError) {
      if (error.fault === 'no-space' || error.fault === 'read-only') {
        throw new RegistryError('UNAVAILABLE', { message: ANSWERS[error.fault], cause: error })
      }
    }
    throw error
  }
}
