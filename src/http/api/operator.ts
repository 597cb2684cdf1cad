import { OPERATOR } from '../../auth/administration.ts'
import type { Caller } from './api.ts'
import { ProblemError } from './problem.ts'

/** Keys of blobs are paths in the data directory, and what is read there passes by the rules of who may pull what. */
export function requireOperator({ account, source }: Caller): void {
  if (account !== OPERATOR.account || source !== OPERATOR.source)
    throw new ProblemError(403, 'this is answered through the control socket alone')
}
