import { UnavailableError } from '../auth/authenticator.ts'
import { ThrottledError } from '../auth/login.ts'
import { type ErrorCode, RegistryError } from '../oci/error.ts'
import { answerToFault } from '../registry/faults.ts'
import { InterruptedUpload } from '../registry/uploads.ts'
import { InterruptedBody } from './body.ts'

/** Docker registry API v2 and OCI Distribution Specification 1.1, "Error Codes"; statuses as registry:2 answers them. */
const STATUS = {
  UNKNOWN: 500,
  UNSUPPORTED: 405,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNAVAILABLE: 503,
  TOOMANYREQUESTS: 429,
  DIGEST_INVALID: 400,
  SIZE_INVALID: 400,
  RANGE_INVALID: 416,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  TAG_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_TOO_LARGE: 413,
  MANIFEST_BLOB_UNKNOWN: 400,
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 404,
  PAGINATION_NUMBER_INVALID: 400,
} satisfies Record<ErrorCode, number>

/** Codes of ours that the specification has no word for, by the one that clients know. */
const WIRE_CODE: Partial<Record<ErrorCode, ErrorCode>> = { MANIFEST_TOO_LARGE: 'MANIFEST_INVALID' }

/** What a code is on the wire. */
export function wireOf(code: ErrorCode): { status: number; code: ErrorCode } {
  return { status: STATUS[code], code: WIRE_CODE[code] ?? code }
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Of a body that ended early: the client is gone, as a rule. */
export const INTERRUPTED = 408

/** Seconds after which a client may try again what was unavailable. */
const RETRY_AFTER = '5'
/** The same of what there was too much of. */
const RETRY_LATER = '60'

interface Answer {
  status: number
  body: string
}

/** What a client is told of an error: only RegistryErrors speak; everything else is UNKNOWN without a word. */
export function answerOf(error: unknown): Answer {
  const known = asRegistryError(error)
  const isInterrupted = error instanceof InterruptedUpload || error instanceof InterruptedBody
  const status = isInterrupted ? INTERRUPTED : STATUS[known.code]
  return { status, body: envelope([known, ...known.more].map(entryOf)) }
}

/** What clients and the log are told of an error. */
export function asRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  if (error instanceof InterruptedUpload) {
    const message = 'the request body ended early; the upload can be resumed'
    return new RegistryError('BLOB_UPLOAD_INVALID', { message, cause: error })
  }
  if (error instanceof InterruptedBody) {
    return new RegistryError('MANIFEST_INVALID', { message: error.message, cause: error })
  }
  if (error instanceof UnavailableError)
    return new RegistryError('UNAVAILABLE', { detail: error.message, cause: error })
  if (error instanceof ThrottledError) {
    const detail = `${error.message} (in ${error.seconds} s)`
    return new RegistryError('TOOMANYREQUESTS', { detail, cause: error })
  }
  return answerToFault(error) ?? new RegistryError('UNKNOWN', { cause: error })
}

export function errorResponse(error: unknown, headers: Record<string, string> = {}): Response {
  const { status, body } = answerOf(error)
  const more: Record<string, string> = {
    'Content-Type': JSON_TYPE,
    // The runtime would add it, too late for those that log and count.
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  }
  if (status === 503) more['Retry-After'] ??= RETRY_AFTER
  if (status === 429) more['Retry-After'] ??= RETRY_LATER
  if (error instanceof ThrottledError) more['Retry-After'] = String(error.seconds)
  return new Response(body, { status, headers: more })
}

function entryOf(error: RegistryError): Record<string, unknown> {
  const entry: Record<string, unknown> = { code: wireOf(error.code).code, message: error.message }
  if (error.detail !== undefined) entry.detail = error.detail
  return entry
}

function envelope(errors: readonly Record<string, unknown>[]): string {
  return `${JSON.stringify({ errors })}\n`
}
