import type { Gate, Subject, Verdict } from '../auth/gate.ts'
import { RegistryError } from '../oci/error.ts'
import { parseRepositoryName } from '../oci/name.ts'
import { type Access, covers, pullable } from '../oci/scope.ts'
import { createTraffic, type Traffic } from '../registry/pace.ts'
import type { Health } from '../telemetry/health.ts'
import type { Tracer } from '../telemetry/trace.ts'
import { type Asked, createUrlReader } from './asked.ts'
import { type Call, parseQuery } from './call.ts'
import { errorResponse } from './errors.ts'
import { originOf } from './origin.ts'
import { type ClientAddressOf, isNear } from './peer.ts'
import { LONGEST_PROBE, type Probes } from './probes.ts'
import { REQUEST_ID } from './request-id.ts'
import type { RequestLogger } from './request-log.ts'
import type { RequestMeter } from './request-meter.ts'
import { type Method, neededAccess, type Resource, type Route, type Target } from './routes.ts'
import { traced } from './trace.ts'
import { createTrail, idOf, type Trail } from './trail.ts'

/** What the listener knows of a request's connection. */
export interface Connection {
  /** Address of the peer; undefined on a unix socket. */
  peer: () => string | undefined
  /** The peer's. */
  port?: () => number | undefined
  secure: boolean
  /** Takes the idle time-out away from this request. */
  unhurried: () => void
}

export interface ServerDeps {
  routes: readonly Route[]
  gate: Gate
  logger: RequestLogger
  /** Undefined: nobody asks for the numbers. */
  meter: RequestMeter | undefined
  /** Undefined: nothing is traced. */
  tracer: Tracer | undefined
  /** Who waits for clients counts on it. */
  traffic?: Pick<Traffic, 'arrivals' | 'writes'> | undefined
  health: Health
  probes: Probes
  prefix: string
  /** External base URL, without a slash at its end. */
  host: string | undefined
  relativeUrls: boolean
  clientAddress: ClientAddressOf
  headers: Readonly<Record<string, readonly string[]>>
  readOnly: boolean
  deleteEnabled: boolean
  /** Answers paths outside `/v2/` (the token endpoint); undefined: not its path. */
  elsewhere?: (request: Request, connection: Connection, path: string) => Response | Promise<Response> | undefined
}

export type Fetch = (request: Request, connection: Connection) => Response | Promise<Response>

/** The registry's pipeline: path → route → access → handler → headers. Every error ends in `errors.ts`. */
export function createServer(deps: ServerDeps): Fetch {
  const { gate, logger, meter, tracer, health, probes, prefix, traffic = createTraffic() } = deps
  const rows = [...Map.groupBy(deps.routes, (route) => route.resource)]
  const allow = new Map(rows.map(([resource, routes]) => [resource, allowed(routes)]))
  const methodsOf = new Map(
    rows.map(([resource, routes]) => [resource, new Map<string, Route>(routes.map((route) => [route.method, route]))]),
  )
  const read = createUrlReader(prefix)
  const extraHeaders = Object.entries(deps.headers)
  const common = commonHeaders(extraHeaders)
  const simple = VERSION_HEADER in common
  const validNames = new Set<string>()

  return (request, connection) => {
    const asked = read(request.url)
    const { path } = asked
    // Outside of everything else: they ask about the server, and no repository can be called so.
    const probed = path.length <= LONGEST_PROBE ? probes(request, path) : undefined
    if (probed !== undefined) return probed
    traffic.arrivals++
    const trail = createTrail(request, connection, performance.now())
    if (tracer === undefined) return pass(trail, asked)
    const { secure } = connection
    const resource = asked.target?.resource
    return traced(tracer, trail, { path, prefix, secure, resource }, () => pass(trail, asked))
  }

  function pass(trail: Trail, asked: Asked): Response | Promise<Response> {
    let response: Response | Promise<Response>
    try {
      response = route(trail, asked)
    } catch (error) {
      response = failed(error, trail)
    }
    return response instanceof Promise
      ? response.then(
          (answer) => finish(answer, trail),
          (error: unknown) => finish(failed(error, trail), trail),
        )
      : finish(response, trail)
  }

  function route(trail: Trail, asked: Asked): Response | Promise<Response> {
    const { request, connection } = trail
    const { path, target } = asked
    if (!health.inService) return outOfService()
    if (path === '/') return new Response(null, { headers: { 'Cache-Control': 'no-cache' } })
    if (target === undefined) {
      return deps.elsewhere?.(request, connection, path) ?? notFound()
    }
    trail.target = target
    meter?.begin(target.resource)
    // A preflight carries no credentials: asking for them would shut out every browser (http.headers allow the origin).
    if (request.method === 'OPTIONS') return options(target.resource)
    const found = methodsOf.get(target.resource)?.get(request.method)
    if (found === undefined) return methodNotAllowed(target.resource)
    if (!asked.named) {
      if (target.resource !== 'base' && !isCatalog(target.resource)) checkName(target.name)
      asked.named = true
    }
    const { name } = target
    const query = parseQuery(asked.query)
    const { everybody } = gate
    if (everybody !== undefined) return serve(found, trail, { path, target, query, subject: everybody })
    const needed = neededAccess(found.access, name, query)
    const verdict = gate.authorize({
      authorization: request.headers.get('authorization') ?? undefined,
      needed,
      base: () => origin(request, connection),
      address: () => addressOf(trail),
    })
    const proceed = (known: Verdict) => {
      const subject = admitted(known, found, name)
      if (subject === undefined) return refused(known, needed, trail)
      return serve(found, trail, { path, target, query, subject })
    }
    return verdict instanceof Promise ? verdict.then(proceed) : proceed(verdict)
  }

  function serve(
    found: Route,
    trail: Trail,
    { path, target, query, subject }: Pick<Call, 'path' | 'query' | 'subject'> & { target: Target },
  ): Response | Promise<Response> {
    const { request, connection } = trail
    trail.subject = subject
    if (found.writes && deps.readOnly) throw unsupported('the registry is read-only')
    if (found.deletes && !deps.deleteEnabled) throw unsupported('deleting is off; storage.delete.enabled turns it on')
    const call: Call = {
      request,
      path,
      name: target.name,
      reference: target.reference,
      query,
      subject,
      common,
      complete: () => {
        trail.complete = simple
      },
      base: () => base(request, connection),
      connection,
      address: () => addressOf(trail),
      unhurried: connection.unhurried,
    }
    return found.writes ? write(found, call) : found.handle(call)
  }

  async function write(found: Route, call: Call): Promise<Response> {
    const { writes } = traffic
    writes.begun++
    writes.open++
    try {
      return await found.handle(call)
    } finally {
      writes.open--
    }
  }

  function addressOf({ request, connection }: Trail): string | undefined {
    return deps.clientAddress(connection.peer(), request.headers.get('x-forwarded-for'))
  }

  /** A token without the catalog's scope lists what it may pull; everybody else needs what the route needs, or what suffices. */
  function admitted(verdict: Verdict, { resource, suffices }: Route, name: string): Call['subject'] | undefined {
    if (verdict.allowed) return verdict.subject
    const { subject } = verdict
    if (subject === undefined || subject.granted === 'everything') return undefined
    if (suffices !== undefined) {
      const { granted } = subject
      return neededAccess(suffices, name, parseQuery('')).every((one) => covers(granted, one)) ? subject : undefined
    }
    if (!isCatalog(resource)) return undefined
    const asksForCatalog = subject.granted.some(({ type }) => type === 'registry')
    return !asksForCatalog && pullable(subject.granted).length > 0 ? subject : undefined
  }

  function refused(verdict: Verdict, needed: readonly Access[], trail: Trail): Response {
    if (verdict.allowed) throw new Error('an allowed verdict was refused')
    trail.refusal = verdict.reason
    trail.subject = verdict.subject
    const detail = needed.length === 0 ? null : needed.map((access) => lackRecord(access, verdict.subject))
    return errorResponse(new RegistryError('UNAUTHORIZED', { detail }), { 'WWW-Authenticate': verdict.challenge })
  }

  function origin(request: Request, connection: Connection): string {
    const found = originFor(request, connection, deps.host)
    if (found === undefined) throw new BadHost()
    return found
  }

  function base(request: Request, connection: Connection): string {
    if (deps.relativeUrls && deps.host === undefined) return prefix
    try {
      return `${origin(request, connection)}${prefix}`
    } catch (error) {
      // The work is done by then: a client without a usable Host (HTTP/1.0) learns the place relative to where it asked.
      if (error instanceof BadHost) return prefix
      throw error
    }
  }

  function options(resource: Resource): Response {
    return new Response(null, { status: 200, headers: { Allow: allow.get(resource) ?? '', 'Content-Length': '0' } })
  }

  function methodNotAllowed(resource: Resource): Response {
    return errorResponse(new RegistryError('UNSUPPORTED'), { Allow: allow.get(resource) ?? '' })
  }

  function finish(response: Response, trail: Trail): Response {
    if (!trail.complete) decorate(response)
    // A challenge is every client's first step, and is to the letter what the documents that people follow show.
    if (response.status >= 400 && response.status !== 401) response.headers.set(REQUEST_ID, idOf(trail))
    const now = performance.now()
    const { target } = trail
    if (meter !== undefined && target !== undefined) meter.end(target.resource, trail, response, now)
    logger.answered(trail, response, now)
    return response
  }

  function decorate({ headers }: Response): void {
    if (headers.has(VERSION_HEADER)) return
    headers.set(VERSION_HEADER, VERSION)
    for (const [name, values] of extraHeaders) {
      // What the answer says itself stands.
      if (headers.has(name)) continue
      for (const value of values) headers.append(name, value)
    }
  }

  /** @throws RegistryError NAME_INVALID */
  function checkName(name: string): void {
    if (validNames.has(name)) return
    parseRepositoryName(name)
    if (validNames.size >= REMEMBERED_NAMES) validNames.clear()
    validNames.add(name)
  }

  function failed(error: unknown, trail: Trail): Response {
    if (error instanceof BadHost) {
      const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
      return new Response('Bad Request: the Host header is missing or malformed\n', { status: 400, headers })
    }
    trail.error = error
    trail.complete = false
    return errorResponse(error)
  }
}

/** Scheme and host that the client used, or those that the configuration says (`host`); undefined without a usable Host. */
export function originFor(request: Request, connection: Connection, host: string | undefined): string | undefined {
  if (host !== undefined) return host
  return originOf({ headers: request.headers, secure: connection.secure, believed: isNear(connection.peer()) })
}

/** What a failed check of `health` makes of every request, in distribution's words. */
function outOfService(): Response {
  return errorResponse(new RegistryError('UNAVAILABLE', { detail: 'health check failed: please see /debug/health' }))
}

/** Docker registry API v2, "API Version Check": on every answer. */
const VERSION_HEADER = 'Docker-Distribution-Api-Version'
const VERSION = 'registry/2.0'

/** Repository names found valid that memory holds: the same few are asked for again and again. */
const REMEMBERED_NAMES = 10_000

/** Headers that handlers set themselves. */
const OWN = new Set([
  'accept-ranges',
  'cache-control',
  'content-disposition',
  'content-length',
  'content-range',
  'content-type',
  'docker-content-digest',
  'etag',
])

/** What `Call.common` holds: nothing where a handler's own header, or a list of values, would have to be weighed against it. */
function commonHeaders(extra: readonly [string, readonly string[]][]): Record<string, string> {
  const simple = extra.every(([name, values]) => values.length === 1 && !OWN.has(name.toLowerCase()))
  if (!simple) return {}
  return { ...Object.fromEntries(extra.map(([name, [value = '']]) => [name, value])), [VERSION_HEADER]: VERSION }
}

class BadHost extends Error {}

function isCatalog(resource: Resource): boolean {
  return resource === 'catalog' || resource === 'catalog-overview'
}

function unsupported(message: string): RegistryError {
  return new RegistryError('UNSUPPORTED', { detail: message })
}

/**
 * registry:2's record of what was needed, which clients print. Where a token was shown that holds, `Granted` says what it
 * has for that resource, so that its user sees which action was missing.
 */
function lackRecord({ type, name, action }: Access, subject: Subject | undefined): Record<string, unknown> {
  const record = { Type: type, Class: '', Name: name, Action: action }
  if (subject === undefined || subject.granted === 'everything') return record
  const own = subject.granted.filter((entry) => entry.type === type && entry.name === name)
  return { ...record, Granted: [...new Set(own.flatMap(({ actions }) => actions))] }
}

function allowed(routes: readonly Route[]): string {
  return [...routes.map(({ method }): Method | 'OPTIONS' => method), 'OPTIONS'].join(', ')
}

function notFound(): Response {
  return new Response('404 page not found\n', {
    status: 404,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
  })
}
