import { quote } from '../../auth/challenge.ts'
import { parseBasic } from '../../auth/credentials.ts'
import { formatGrant } from '../../auth/grants.ts'
import { parsePeer } from '../../auth/ip.ts'
import { ThrottledError } from '../../auth/login.ts'
import { parseScopes } from '../../auth/scope-request.ts'
import { type Issued, TokenError, type TokenRequest, type TokenServer } from '../../auth/token-server.ts'
import { withHsts } from '../hsts.ts'
import { BodyTooLargeError, type Form, firstOf, MAX_BODY, readForm } from './form.ts'

export interface TokenEndpointOptions {
  server: TokenServer
  /** Before `/auth`, as in docker_auth: put in front literally. */
  pathPrefix: string
  hsts: boolean
  /** Header that holds the client's address; undefined: the address of the connection counts. */
  realIpHeader: string | undefined
  /** Which of a comma-separated list: 0 is the first, -1 the last. */
  realIpPos: number
}

export interface TokenContext {
  /** Address of the connection's other end; undefined on a unix socket. */
  peer: string | undefined
  /** Decoded path of the URL. */
  path: string
  /** What follows `?`, raw; empty for none. */
  query: string
}

export type TokenEndpoint = (request: Request, context: TokenContext) => Promise<Response>

/** Behind the prefix. */
export const TOKEN_PATHS = ['/auth', '/auth/token'] as const

/** Seconds after which a client may try again what was unavailable. */
const RETRY_AFTER = '5'
/** Each is weighed against every rule; a client needs a handful. */
const MAX_SCOPES = 500
/** Without one a POST is what docker_auth takes it for: credentials in a form. */
const GRANTS = new Set(['', 'password'])

/**
 * The token endpoint, `PREFIX/auth` and `PREFIX/auth/token`, for any method (distribution, "Token Authentication
 * Specification"), in docker_auth's words. A refused scope is a 200 with fewer actions; errors are 400 (the request),
 * 401 (the login), 429 (too many wrong ones) and 503 (a source of users that does not answer; docker_auth says 500).
 */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { server, pathPrefix, hsts } = options
  const paths = new Set(TOKEN_PATHS.map((path) => pathPrefix + path))

  async function answer(request: Request, context: TokenContext): Promise<Response> {
    const { path } = context
    if (path === `${pathPrefix}/`) return index(server.issuer)
    if (!paths.has(path)) return failure(404, 'Not found')
    try {
      const parsed = await parseRequest(request, context, options)
      return parsed instanceof Response ? parsed : success(await server.issue(parsed.asked), parsed.oauth)
    } catch (error) {
      if (error instanceof TokenError) return refusal(error, server.issuer)
      if (error instanceof BodyTooLargeError) return failure(413, `Request body is larger than ${MAX_BODY} bytes`)
      throw error
    }
  }

  return async (request, context) => {
    const response = guarded(await answer(request, context))
    if (hsts) withHsts(response)
    return request.method === 'HEAD' ? await withoutBody(response) : response
  }
}

/** Everything about a request is checked before anything about its password. */
async function parseRequest(
  request: Request,
  context: TokenContext,
  options: TokenEndpointOptions,
): Promise<{ asked: TokenRequest; oauth: boolean } | Response> {
  const address = clientAddress(request, context.peer, options)
  const form = await readForm(request, context.query)
  const posted = request.method === 'POST'
  const grant = posted ? firstOf(form, 'grant_type') : ''
  const refreshes = grant === 'refresh_token'
  if (refreshes ? !options.server.refreshes : !GRANTS.has(grant)) return unsupportedGrant(options.server.refreshes)
  const refreshToken = firstOf(form, 'refresh_token')
  if (refreshes && refreshToken === '') return oauthError(400, 'invalid_request', 'refresh_token is missing')
  const basic = parseBasic(request.headers.get('authorization') ?? undefined)
  const { user, password } = basic ?? formCredentials(form, posted)
  const named = firstOf(form, 'account')
  if (basic !== undefined && named !== '' && named !== user) {
    const text = `user and account are not the same (${JSON.stringify(user)} vs ${JSON.stringify(named)})`
    throw new TokenError('bad-request', text)
  }
  const scopes = parseScopes(form.get('scope') ?? [])
  if (typeof scopes === 'string') throw new TokenError('bad-request', scopes)
  if (scopes.length > MAX_SCOPES) throw new TokenError('bad-request', `more than ${MAX_SCOPES} scopes in one request`)
  const common = { service: firstOf(form, 'service'), scopes, address, client: firstOf(form, 'client_id') }
  if (refreshes) return { asked: { ...common, account: '', password: '', refreshToken }, oauth: true }
  const offline = firstOf(form, 'offline_token') === 'true' || firstOf(form, 'access_type') === 'offline'
  const account = named === '' ? user : named
  return { asked: { ...common, account, password, offline }, oauth: grant !== '' }
}

/** Only POST reads them, and only both together; from the URL, too, as docker_auth does. */
function formCredentials(form: Form, posted: boolean): { user: string; password: string } {
  const user = posted ? firstOf(form, 'username') : ''
  const password = posted ? firstOf(form, 'password') : ''
  return user === '' || password === '' ? { user: '', password: '' } : { user, password }
}

function clientAddress(
  request: Request,
  peer: string | undefined,
  { realIpHeader, realIpPos }: TokenEndpointOptions,
): string | undefined {
  if (realIpHeader === undefined || realIpHeader === '') return peer
  const list = (request.headers.get(realIpHeader) ?? '').split(',')
  const position = realIpPos < 0 ? Math.max(0, list.length + realIpPos) : realIpPos
  const address = list[position]?.trim() ?? ''
  if (address === '') throw new TokenError('bad-request', 'client address not provided')
  if (parsePeer(address) === undefined) {
    throw new TokenError('bad-request', `unable to parse remote addr ${address}`)
  }
  return address
}

const JSON_HEADERS = { 'Content-Type': 'application/json' }

/**
 * `expires_in` and `issued_at` besides docker_auth's two: without them clients come back after 60 seconds. `scope` is what
 * OAuth2 asks for (distribution, "Oauth2 Token Authentication").
 */
function success({ token, expiresIn, issuedAt, access, refreshToken }: Issued, oauth: boolean): Response {
  const issued = new Date(issuedAt * 1000).toISOString().replace('.000Z', 'Z')
  const scope = oauth ? `,"scope":${JSON.stringify(access.map(formatGrant).join(' '))}` : ''
  // Tokens are made of letters, digits and `-_.`: nothing in them needs escaping.
  const refresh = refreshToken === undefined ? '' : `,"refresh_token":"${refreshToken}"`
  const body = `{"access_token":"${token}","expires_in":${expiresIn},"issued_at":"${issued}"${refresh}${scope},"token":"${token}"}`
  return new Response(body, { headers: JSON_HEADERS })
}

function unsupportedGrant(refreshes: boolean): Response {
  const description = refreshes
    ? 'use grant_type=password or refresh_token, or Basic credentials'
    : 'this server issues no refresh tokens; use grant_type=password or Basic credentials'
  return oauthError(400, 'unsupported_grant_type', description)
}

/** RFC 6749 section 5.2; `errors` is what Docker shows to its user. */
function oauthError(status: number, error: string, description: string): Response {
  const errors = [{ code: status === 401 ? 'UNAUTHORIZED' : 'UNSUPPORTED', message: description }]
  return new Response(JSON.stringify({ error, error_description: description, errors }), {
    status,
    headers: JSON_HEADERS,
  })
}

function refusal({ kind, message, cause }: TokenError, issuer: string): Response {
  switch (kind) {
    case 'bad-request':
      return failure(400, `Bad request: ${message}`)
    case 'unavailable':
      return failure(503, message, { 'Retry-After': RETRY_AFTER })
    case 'throttled':
      return throttled(message, cause instanceof ThrottledError ? cause.seconds : 1)
    case 'invalid-grant':
      // 401 where the RFC says 400: of any other status podman and skopeo show only the number.
      return oauthError(401, 'invalid_grant', message)
    case 'unauthorized':
      return failure(401, message, { 'WWW-Authenticate': `Basic realm=${quote(issuer)}` })
    default:
      return kind satisfies never
  }
}

/** In the registry's form, which Docker shows to its user. */
function throttled(message: string, seconds: number): Response {
  const errors = [{ code: 'TOOMANYREQUESTS', message: `${message} (in ${seconds} s)` }]
  const headers = { ...JSON_HEADERS, 'Retry-After': String(seconds) }
  return new Response(JSON.stringify({ errors }), { status: 429, headers })
}

function failure(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers } })
}

function index(issuer: string): Response {
  const title = issuer.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
  return new Response(`<h1>${title}</h1>\n`, { headers: { 'Content-Type': 'text/html; charset=utf-8' } })
}

/** Nothing that is answered here may be kept, or be taken for what it is not. */
function guarded(response: Response): Response {
  response.headers.set('Cache-Control', 'no-store')
  response.headers.set('X-Content-Type-Options', 'nosniff')
  return response
}

/** HEAD: the headers that GET would have. */
async function withoutBody(response: Response): Promise<Response> {
  const { status, headers } = response
  headers.set('Content-Length', String((await response.arrayBuffer()).byteLength))
  return new Response(null, { status, headers })
}
