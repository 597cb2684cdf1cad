/** What an ACME server refuses (RFC 8555 section 6.7), or that it cannot be reached. */
export class AcmeError extends Error {
  /** Without `urn:ietf:params:acme:error:`; `unreachable` where there was no answer, `invalid` for a failed validation. */
  readonly type: string
  readonly status: number | undefined
  /** Milliseconds that it asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(
    type: string,
    message: string,
    options: { status?: number | undefined; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'AcmeError'
    this.type = type
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

const PREFIX = 'urn:ietf:params:acme:error:'

interface Problem {
  type: string
  detail: string
}

/** A problem document (RFC 9457), with its subproblems in the message. */
export function problemOf(value: unknown, status?: number): Problem {
  const { type, detail, subproblems } = recordOf(value)
  const kind = typeof type === 'string' ? type.replace(PREFIX, '') : 'unknown'
  const text = typeof detail === 'string' ? detail : `status ${status ?? 'unknown'}`
  const more = Array.isArray(subproblems) ? subproblems.map((one: unknown) => problemOf(one).detail) : []
  return { type: kind, detail: [text, ...more].join('; ') }
}

export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** Retry-After (RFC 9110 section 10.2.3): seconds or a date. Milliseconds; undefined where there is none that is sensible. */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const wait = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}
