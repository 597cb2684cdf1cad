/**
 * The closed set of errors that a client of the registry can see.
 *
 * Codes and messages are those of the OCI Distribution Specification 1.1, "Error Codes", and of Docker's registry API v2.
 * Statuses are HTTP and live in `http/errors.ts`; code below HTTP throws a code.
 */
export const ERROR_MESSAGES = {
  UNKNOWN: 'unknown error',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNAVAILABLE: 'service unavailable',
  TOOMANYREQUESTS: 'too many requests',
  DIGEST_INVALID: 'provided digest did not match uploaded content',
  SIZE_INVALID: 'provided length did not match content length',
  RANGE_INVALID: 'invalid content range',
  NAME_INVALID: 'invalid repository name',
  NAME_UNKNOWN: 'repository name not known to registry',
  TAG_INVALID: 'manifest tag did not match URI',
  MANIFEST_UNKNOWN: 'manifest unknown',
  MANIFEST_INVALID: 'manifest invalid',
  MANIFEST_TOO_LARGE: 'manifest too large',
  MANIFEST_BLOB_UNKNOWN: 'blob unknown to registry',
  BLOB_UNKNOWN: 'blob unknown to registry',
  BLOB_UPLOAD_UNKNOWN: 'blob upload unknown to registry',
  BLOB_UPLOAD_INVALID: 'blob upload invalid',
  PAGINATION_NUMBER_INVALID: 'invalid number of results requested',
} as const

export type ErrorCode = keyof typeof ERROR_MESSAGES

export interface ErrorOptions {
  /** Public text instead of the code's own. */
  message?: string
  /** Public, JSON-serialisable detail. */
  detail?: unknown
  /** For the log only: never sent to a client. */
  cause?: unknown
  /** Further errors of the same answer (MANIFEST_BLOB_UNKNOWN lists one per missing blob). */
  more?: readonly RegistryError[]
}

/** An error whose code, message and detail may leave the process. */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly detail: unknown
  readonly more: readonly RegistryError[]

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.message ?? ERROR_MESSAGES[code], { cause: options.cause })
    this.name = 'RegistryError'
    this.code = code
    this.detail = options.detail
    this.more = options.more ?? []
  }
}
