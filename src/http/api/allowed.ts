import { ChangeError } from '../../auth/administration.ts'
import { RegistryError } from '../../oci/error.ts'

/**
 * Does what a limit may forbid: its refusal is a conflict, in the words that clients of the registry get, with the rule of
 * immutable tags that decided. @throws ChangeError
 */
export async function allowed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'DENIED') throw error
    throw new ChangeError('conflict', error.message, [], { immutable: ruleOf(error.detail) })
  }
}

/** What `registry/denial.ts` says of a rule. */
function ruleOf(detail: unknown): string | undefined {
  const { limit, rule } = (detail ?? {}) as Record<string, unknown>
  return limit === 'immutable' && typeof rule === 'string' ? rule : undefined
}
