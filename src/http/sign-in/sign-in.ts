import { createSignInFlow, SignInError, type SignInOptions, type SignInProvider } from '../../auth/sign-in.ts'
import { PENDING_MS } from '../../auth/sign-in-pending.ts'
import { withHsts } from '../hsts.ts'
import { begunCookies, type CookieScope, endedCookie, sealedOf } from './cookie.ts'
import { guards } from './html.ts'
import { donePage, errorPage, indexPage, type Page, startPage } from './pages.ts'

export interface SignInPagesOptions extends SignInOptions {
  /** Before `/github_auth`, as in docker_auth: put in front literally; empty for none. */
  pathPrefix: string
  hsts: boolean
}

export interface SignInContext {
  /** Decoded path of the URL. */
  path: string
  /** What follows `?`, raw; empty for none. */
  query: string
  /** Scheme and host that the browser used, without a slash at the end; undefined when the request has no usable Host. */
  base: string | undefined
  /** The client's address, for the audit log. */
  address: string | undefined
}

export interface SignInPages {
  /** What it answers; empty without providers. */
  readonly paths: ReadonlySet<string>
  handle(request: Request, context: SignInContext): Promise<Response>
}

interface Callback {
  path: string
  query: URLSearchParams
  base: string
  address: string | undefined
  scope: CookieScope
}

const STATUS: Record<SignInError['kind'], number> = { 'bad-request': 400, refused: 403, failed: 502, unavailable: 503 }

/**
 * Sign-in in the browser, at docker_auth's paths: `PREFIX/github_auth` and its like are start page (no query), begin
 * (`?start=1`, or POST) and callback (`code`, `state` or `error`) in one; `PREFIX/` leads there.
 */
export function createSignIn(options: SignInPagesOptions): SignInPages {
  const { providers, pathPrefix, hsts } = options
  const flow = createSignInFlow(options)
  const index = `${pathPrefix}/`
  const byPath = new Map(providers.map((provider) => [`${pathPrefix}/${provider.kind}_auth`, provider]))
  const links = [...byPath].map(([path, { title }]) => ({ path, title }))

  async function answer(request: Request, context: SignInContext): Promise<Response> {
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
      return plain(405, 'Method not allowed', { Allow: 'GET, HEAD, POST' })
    }
    const { path, base } = context
    if (base === undefined) return plain(400, 'Bad Request: the Host header is missing or malformed')
    if (path === index) return answerIndex(request, base)
    const provider = byPath.get(path)
    if (provider === undefined) return plain(404, 'Not found')
    try {
      return await answerProvider(request, provider, { ...context, base })
    } catch (error) {
      if (!(error instanceof SignInError)) throw error
      return show(request, STATUS[error.kind], errorPage(error.message, path))
    }
  }

  function answerIndex(request: Request, base: string): Response {
    const [only] = providers
    // docker_auth shows a link to Google's page, and redirects to the others' (301, which `guards` keep out of caches).
    if (only !== undefined && providers.length === 1 && only.kind !== 'google') {
      return redirect(301, `${pathPrefix}/${only.kind}_auth`)
    }
    return show(request, 200, indexPage(links, base))
  }

  async function answerProvider(
    request: Request,
    provider: SignInProvider,
    { path, query: text, base, address }: SignInContext & { base: string },
  ): Promise<Response> {
    const query = new URLSearchParams(text)
    const redirectUri = provider.redirectUri ?? `${base}${path}`
    const start = query.get('start')
    // HEAD changes nothing: previews of links must not use up a code.
    if (request.method !== 'HEAD') {
      if (request.method === 'POST' || start !== null) {
        const elsewhere = new URL(redirectUri).origin !== new URL(base).origin
        // The cookie must be where the provider sends the browser back to. Once only: behind a proxy that hides the
        // host, this side never sees the browser arrive there.
        if (elsewhere && start !== '2') return redirect(303, `${redirectUri}?start=2`)
        return await begin(request, provider, redirectUri)
      }
      if (query.has('code') || query.has('state') || query.has('error')) {
        return await finish(request, provider, { path, query, base, address, scope: scopeOf(redirectUri) })
      }
    }
    return show(request, 200, startPage({ path, title: provider.title }, `${base}${path}`))
  }

  async function begin(request: Request, provider: SignInProvider, redirectUri: string): Promise<Response> {
    const { location, ...begun } = await flow.begin(provider, redirectUri)
    const cookies = begunCookies(request, begun, { ...scopeOf(redirectUri), maxAgeMs: PENDING_MS })
    return withCookies(redirect(303, location), cookies)
  }

  async function finish(
    request: Request,
    provider: SignInProvider,
    { path, query, base, address, scope }: Callback,
  ): Promise<Response> {
    const state = query.get('state') ?? ''
    const sealed = sealedOf(request, state, scope.secure)
    let page: Page
    let status = 200
    try {
      const done = await flow.finish(provider, { sealed, query, address })
      page = donePage(done, registryOf(provider, base))
    } catch (error) {
      // The others may be tried again as they are.
      if (!(error instanceof SignInError) || (error.kind !== 'refused' && error.kind !== 'failed')) throw error
      status = STATUS[error.kind]
      page = errorPage(error.message, path)
    }
    return withCookies(show(request, status, page), [endedCookie(state, scope)])
  }

  /** Where the cookies are that begin and end at this address of the browser. */
  function scopeOf(redirectUri: string): CookieScope {
    return { path: pathPrefix === '' ? '/' : pathPrefix, secure: redirectUri.startsWith('https:') }
  }

  return {
    paths: providers.length === 0 ? new Set() : new Set([index, ...byPath.keys()]),
    async handle(request, context) {
      const response = await answer(request, context)
      if (hsts) withHsts(response)
      return request.method === 'HEAD' ? withoutBody(response) : response
    },
  }
}

/** What `docker login` takes: without a scheme, which podman refuses. */
function registryOf({ registryUrl }: SignInProvider, base: string): string {
  return (registryUrl ?? base).replace(/^https?:\/\//, '').replace(/\/+$/, '')
}

function redirect(status: 301 | 303, location: string): Response {
  return new Response(null, { status, headers: { ...guards(), Location: location } })
}

function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const cookie of cookies) response.headers.append('Set-Cookie', cookie)
  return response
}

/** Browsers name HTML; curl and its like get text. */
function show(request: Request, status: number, page: Page): Response {
  const wantsHtml = /text\/html|application\/xhtml\+xml/i.test(request.headers.get('accept') ?? '')
  const type = wantsHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8'
  const headers = { ...guards(), 'Content-Type': type, Vary: 'Accept' }
  return new Response(wantsHtml ? page.html : page.text, { status, headers })
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...guards(), 'Content-Type': 'text/plain; charset=utf-8', ...headers },
  })
}

/** HEAD: the headers of the page. */
function withoutBody({ status, headers }: Response): Response {
  return new Response(null, { status, headers })
}
