import { UpstreamError } from '../../upstream/error.ts'
import { ruleHint } from '../immutable-hint.ts'

/** A refusal with what an administrator can do about the rule of immutable tags that decided; any other error as it is. */
export function withRule(error: unknown, options: { forceable: boolean }): unknown {
  if (!(error instanceof UpstreamError) || error.immutable === undefined) return error
  const { fault, message, status, code, immutable } = error
  const hint = error.hint ?? ruleHint(immutable, options)
  return new UpstreamError(fault, message, { status, code, hint, immutable, cause: error })
}
