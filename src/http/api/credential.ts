import type { Caller } from './api.ts'
import { ProblemError } from './problem.ts'

/** What a caller may not do with the credential that it showed. All throw ProblemError. */
export function refuseLimited({ token }: Caller): void {
  if (token?.limited === true) throw new ProblemError(403, 'a token with limits may not do this')
}

/** What an account may do for itself only by its password, an administrator may not do for its own account by a token. */
export function requirePasswordForOwn(caller: Caller, account: string): void {
  if (caller.account === account) requirePassword(caller)
}

export function requirePassword({ token }: Caller): void {
  if (token !== undefined) throw new ProblemError(403, 'this needs your password, not a token')
}
