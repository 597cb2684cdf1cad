import { ChangeError } from '../../auth/administration.ts'
import { RegistryError } from '../../oci/error.ts'

/** Does what a limit may forbid: its refusal is a conflict, in the words that clients of the registry get. @throws ChangeError */
export async function allowed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'DENIED') throw new ChangeError('conflict', error.message)
    throw error
  }
}
