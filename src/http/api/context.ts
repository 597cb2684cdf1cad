import { OpenAPIHono } from '@hono/zod-openapi'
import type { Actor } from '../../auth/administration.ts'
import type { Caller } from './api.ts'
import { ProblemError } from './problem.ts'

/** What every handler knows of its request. */
export interface ApiEnv {
  Bindings: { caller: Caller; actor: Actor; basePath: string }
}

export type ApiRouter = OpenAPIHono<ApiEnv>

const PLACES: Record<string, string> = { query: 'query.', param: 'path.', header: 'header.' }

/** A router that answers what its schemas refuse with each value that is wrong. */
export function createRouter(): ApiRouter {
  return new OpenAPIHono<ApiEnv>({
    defaultHook(result, c) {
      if (result.success) {
        // What is not announced as JSON is read as an empty object, which may ask for something.
        if (result.target === 'json' && !isJson(c.req.header('content-type'))) {
          throw new ProblemError(400, 'this needs a body of JSON, with Content-Type: application/json')
        }
        return
      }
      const place = PLACES[result.target] ?? ''
      const errors = result.error.issues.slice(0, MAX_ERRORS).flatMap((issue) => {
        const path = issue.path.map(String)
        const keys = issue.code === 'unrecognized_keys' ? issue.keys : undefined
        if (keys === undefined) return [{ path: place + path.join('.'), message: issue.message }]
        return keys.slice(0, MAX_ERRORS).map((key) => ({
          path: (place + [...path, key].join('.')).slice(0, MAX_PATH),
          message: 'there is no such key',
        }))
      })
      const first = errors[0]
      const detail = first === undefined || first.path === '' ? '' : `: ${first.path}: ${first.message}`
      throw new ProblemError(400, `the request is not valid${detail}`, errors)
    },
  })
}

function isJson(contentType = ''): boolean {
  return /^application\/(?:[\w.-]+\+)?json$/i.test(contentType.split(';', 1)[0]?.trim() ?? '')
}

const MAX_ERRORS = 50
const MAX_PATH = 200
