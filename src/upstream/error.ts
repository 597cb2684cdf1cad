/**
 * What became of a question to a registry, for those who must tell a missing image from a refusal. `invalid`: what the
 * registry answered makes no sense; `conflict`: a rule of the registry forbids it (immutable tag, quota).
 */
export type UpstreamFault =
  | 'usage'
  | 'not-found'
  | 'unauthorized'
  | 'denied'
  | 'conflict'
  | 'throttled'
  | 'unsupported'
  | 'network'
  | 'tls'
  | 'invalid'
  | 'failed'

export interface UpstreamErrorOptions {
  /** What to do about it, as one line. */
  hint?: string | undefined
  /** HTTP status of the answer, where there was one. */
  status?: number | undefined
  /** Error code of the answer (OCI Distribution Specification 1.1, "Error Codes"). */
  code?: string | undefined
  /** The rule of immutable tags that forbids it, where the registry says so. */
  immutable?: string | undefined
  cause?: unknown
}

/** A registry could not be asked, or did not do what it was asked. The message is one line for a person. */
export class UpstreamError extends Error {
  readonly fault: UpstreamFault
  readonly hint: string | undefined
  readonly status: number | undefined
  readonly code: string | undefined
  readonly immutable: string | undefined

  constructor(fault: UpstreamFault, message: string, options: UpstreamErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'UpstreamError'
    this.fault = fault
    this.hint = options.hint
    this.status = options.status
    this.code = options.code
    this.immutable = options.immutable
  }
}
