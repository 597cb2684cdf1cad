import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { ApiEnv } from './context.ts'
import { ProblemError } from './problem.ts'
import { problemSchema } from './schemas.ts'

/** Every answer that is a refusal. */
export const refusals = {
  default: {
    description: 'Refused (RFC 9457)',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
} as const

export const nothing = { description: 'Done' } as const

export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } } as const
}

export function body<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } } as const
}

/**
 * The first `limit` rows of `limit + 1` that were asked for; when there are more, the answer gets a Link to them
 * (RFC 8288 section 3) that keeps the filters.
 */
export function pageOf<T>(
  c: Context<ApiEnv>,
  rows: readonly T[],
  limit: number,
  next: (last: T) => [string, string],
): T[] {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  if (rows.length > limit && last !== undefined) {
    const query = new URLSearchParams(new URL(c.req.url).search)
    const [name, value] = next(last)
    query.set(name, value)
    // As it came, percent-encoded: a header takes nothing but ASCII.
    const path = new URL(c.req.url).pathname.slice(MOUNT.length)
    c.header('Link', `<${c.env.basePath}${path}?${query}>; rel="next"`)
  }
  return page
}

/** Where the application has its routes; `ApiEnv.basePath` is what clients see in its place. */
export const MOUNT = '/api/v1'

/** Without the keys that have no value: absent, where the callee tells absent from undefined. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/**
 * The revision that a change of a list is made to: RFC 9110 section 13.1.1, for a list that has one strong validator; RFC 6585
 * section 3 where it is missing. @throws ProblemError
 */
export function revisionOf(ifMatch: string | undefined): number | 'any' {
  if (ifMatch === undefined) throw new ProblemError(428, 'say in If-Match which revision of the list you change')
  if (ifMatch.trim() === '*') return 'any'
  const match = /^\s*"(\d{1,15})"\s*$/.exec(ifMatch)
  if (match === null) {
    const message = 'write the ETag of the list, or *'
    throw new ProblemError(400, message, [{ path: 'header.if-match', message }])
  }
  return Number(match[1])
}
