import { InterruptedBody, readWhole } from '../body.ts'
import { DOCUMENT_PATH, wholeDocument } from '../reference/document.ts'
import { splitUrl } from '../url.ts'
import type { ApiDeps, CallFrom } from './api.ts'
import { isForeign } from './origin-check.ts'
import { ProblemError, problem, problemOf } from './problem.ts'
import { MOUNT } from './route.ts'
import { createApiRoutes } from './routes.ts'

/** Bytes of a body. */
const MAX_BODY = 1024 * 1024
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
}

/** From request to answer: who, from where, the body, then the routes. Every error ends in `problem.ts`. */
export function createApplication(deps: ApiDeps): (request: Request, from: CallFrom) => Promise<Response> {
  const { router, document } = createApiRoutes(deps)
  const paths = Object.keys(document.paths ?? {})

  async function answer(request: Request, from: CallFrom, path: string, query: string): Promise<Response> {
    const { basePath = MOUNT } = from
    const rest = path.startsWith(basePath) ? path.slice(basePath.length) : undefined
    if (rest === undefined || !rest.startsWith('/')) return problem(404, 'there is nothing here')
    if (!METHODS.has(request.method)) return problem(405, 'this method is not known here')
    if (rest === DOCUMENT_PATH && request.method === 'GET') {
      return Response.json(wholeDocument(document, basePath.slice(0, -MOUNT.length)))
    }
    const caller = from.caller ?? (await deps.whoIs(request, from.address))
    if (caller === 'anonymous' || caller === 'refused') return unauthorized(request, caller)
    if (isForeign(request)) return problem(403, 'a page of another site may not do this')
    const { account, source } = caller
    const actor = { account, source, address: from.address ?? '' }
    const target = `http://berth${MOUNT}${rest}${query === '' ? '' : `?${query}`}`
    const response = await router.fetch(await readable(request, target), { caller, actor, basePath })
    const notice = caller.admin ? noticeOf(rest, deps.inForce()) : undefined
    if (notice !== undefined) response.headers.set(NOTICE_HEADER, notice)
    return response
  }

  router.notFound(() => problem(404, 'there is nothing here'))
  router.onError((error, c) => {
    const response = problemOf(error)
    if (response.status >= 500) deps.log.error('request failed', { method: c.req.method, path: c.req.path, error })
    return response
  })
  // After all other routes: what comes this far has a path that is known, and a method that is not.
  for (const path of paths) {
    const allow = Object.keys(document.paths?.[path] ?? {}).map((method) => method.toUpperCase())
    const headers = { Allow: allow.join(', ') }
    router.all(MOUNT + path.replace(/\{(\w+)\}/g, ':$1'), () => problem(405, 'not with this method', { headers }))
  }

  return async (request, from) => {
    const { path, query } = splitUrl(request.url)
    let response: Response
    try {
      response = await answer(request, from, path, query)
    } catch (error) {
      response = problemOf(error)
      if (response.status >= 500) deps.log.error('request failed', { method: request.method, path, error })
    }
    for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value)
    return response
  }
}

/** For whoever manages what the configuration does not heed. */
const NOTICE_HEADER = 'Berth-Notice'

function noticeOf(path: string, inForce: ReturnType<ApiDeps['inForce']>): string | undefined {
  if (!inForce.rules && /^\/acl(\/(?!test$)|$)/.test(path)) {
    return "these rules have no effect: the server's configuration has its own (acl, or another source of rules)"
  }
  if (!inForce.accounts && /^\/(users|groups|robots)(\/|$)/.test(path)) {
    return "these accounts cannot log in: the server's configuration names other users; accounts: true in it lets both in"
  }
  return undefined
}

/** A page that asks by script shows its own form: for it the browser's must not come up. */
function unauthorized(request: Request, caller: 'anonymous' | 'refused'): Response {
  const detail = caller === 'anonymous' ? 'log in first' : 'the name or the password is wrong'
  const quiet = request.headers.has('x-requested-with')
  return problem(401, detail, quiet ? {} : { headers: { 'WWW-Authenticate': 'Basic realm="Berth", charset="UTF-8"' } })
}

/** The same request with its body read, under the path where the routes are. @throws ProblemError */
async function readable(request: Request, target: string): Promise<Request> {
  const { method, headers } = request
  const init = { method, headers }
  if (method === 'GET' || method === 'HEAD') return new Request(target, init)
  let body: Uint8Array | undefined
  try {
    body = await readWhole(request, MAX_BODY)
  } catch (error) {
    if (error instanceof InterruptedBody) throw new ProblemError(408, error.message)
    throw error
  }
  if (body === undefined) throw new ProblemError(413, `the body has more than ${MAX_BODY} bytes`)
  if (body.byteLength === 0) return new Request(target, init)
  refuseProto(body)
  // A copy, for the bytes may lie in a buffer of the runtime's.
  return new Request(target, { ...init, body: new Uint8Array(body) })
}

/**
 * A key `__proto__` is no key to the checks that follow: a rule with that one condition would match everybody.
 * What is no JSON is refused later.
 */
function refuseProto(body: Uint8Array): void {
  let found = false
  try {
    JSON.parse(new TextDecoder().decode(body), (key, value: unknown) => {
      if (key === '__proto__') found = true
      return value
    })
  } catch (error) {
    if (error instanceof SyntaxError) return
    // Nested so deeply that nobody looked at all of it.
    throw new ProblemError(400, 'the body is nested too deeply')
  }
  if (found) throw new ProblemError(400, 'no key is called __proto__')
}
