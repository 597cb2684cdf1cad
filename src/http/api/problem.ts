import { HTTPException } from 'hono/http-exception'
import { ChangeError } from '../../auth/administration.ts'
import { UnavailableError } from '../../auth/authenticator.ts'
import { ThrottledError } from '../../auth/login.ts'

/**
 * RFC 9457 section 3, with extensions of ours (section 3.2). `errors`: what is wrong with which value of the request; `immutable`:
 * the name of the rule of immutable tags that forbids it.
 */
export interface Problem {
  type: 'about:blank'
  title: string
  status: number
  detail: string
  errors?: { path: string; message: string }[]
  immutable?: string
}

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const DETAILS: Record<number, string> = {
  400: 'the body is not JSON',
  415: 'the body must be application/json',
}

/** Seconds after which a client may try again what was unavailable. */
const RETRY_AFTER = '5'

/** A refusal; thrown anywhere below the application. */
export class ProblemError extends Error {
  readonly status: number
  readonly errors: Problem['errors']

  constructor(status: number, detail: string, errors?: Problem['errors']) {
    super(detail)
    this.name = 'ProblemError'
    this.status = status
    this.errors = errors
  }
}

/** The part of the program that answers. @throws ProblemError 409 where there is none, as in a token server alone */
export function served<Part>(part: Part | undefined, detail = 'no registry runs here'): Part {
  if (part === undefined) throw new ProblemError(409, detail)
  return part
}

export function problem(
  status: number,
  detail: string,
  more: { errors?: Problem['errors']; immutable?: string | undefined; headers?: Record<string, string> } = {},
): Response {
  const { errors, immutable, headers } = more
  const body: Problem = { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail }
  if (errors !== undefined && errors.length > 0) body.errors = errors
  if (immutable !== undefined) body.immutable = immutable
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  })
}

const STATUS = { invalid: 400, 'not-found': 404, conflict: 409 } as const

/** What a client is told of an error; only errors that were meant for it have words. */
export function problemOf(error: unknown): Response {
  if (error instanceof ProblemError) return problem(error.status, error.message, { errors: error.errors })
  if (error instanceof ChangeError) {
    return problem(STATUS[error.kind], error.message, { errors: [...error.problems], immutable: error.immutable })
  }
  if (error instanceof UnavailableError) {
    return problem(503, error.message, { headers: { 'Retry-After': RETRY_AFTER } })
  }
  if (error instanceof ThrottledError) {
    return problem(429, error.message, { headers: { 'Retry-After': String(error.seconds) } })
  }
  if (error instanceof HTTPException && error.status < 500) {
    return problem(error.status, DETAILS[error.status] ?? error.message)
  }
  return problem(500, 'something went wrong; the log of the server says what')
}
