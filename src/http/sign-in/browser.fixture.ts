import type { SignedIn, SignInAccounts, SignInEvent, SignInProvider } from '../../auth/sign-in.ts'
import { splitUrl } from '../url.ts'
import { createSignIn } from './sign-in.ts'

export interface Visit {
  status: number
  /** Where the browser ended up. */
  url: string
  headers: Headers
  text: string
}

export interface Browser {
  /** Follows redirects as a browser does, until one leads where `stopAt` says. */
  visit(url: string, options?: { form?: Record<string, string>; stopAt?: (url: string) => boolean }): Promise<Visit>
  cookies: { origin: string; path: string; name: string; value: string }[]
}

/** As much of a browser as sign-in needs: redirects, forms, and cookies by origin and path. */
export function createBrowser(): Browser {
  const cookies: Browser['cookies'] = []

  function cookieHeader(url: URL): string {
    return cookies
      .filter(({ origin, path }) => origin === url.origin && url.pathname.startsWith(path))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }

  function keep(url: URL, header: string): void {
    const [pair = '', ...attributes] = header.split(';').map((part) => part.trim())
    const [name = '', value = ''] = pair.split(/=(.*)/s)
    const path = attributes.find((part) => /^path=/i.test(part))?.slice(5) ?? '/'
    const known = cookies.findIndex(
      (cookie) => cookie.name === name && cookie.path === path && cookie.origin === url.origin,
    )
    if (known !== -1) cookies.splice(known, 1)
    if (value !== '') cookies.push({ origin: url.origin, path, name, value })
  }

  return {
    cookies,
    async visit(start, options = {}) {
      let url = new URL(start)
      let form = options.form
      for (let hops = 0; hops < 20; hops++) {
        const headers = { Accept: 'text/html,*/*;q=0.8', Cookie: cookieHeader(url) }
        const sent = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
        const response = await fetch(url, { ...sent, headers, redirect: 'manual', signal: AbortSignal.timeout(60_000) })
        for (const header of response.headers.getSetCookie()) keep(url, header)
        const location = response.headers.get('location')
        const next = location === null ? undefined : new URL(location, url)
        const text = await response.text()
        if (next === undefined) return { status: response.status, url: url.href, headers: response.headers, text }
        if (options.stopAt?.(next.href) === true) {
          return { status: response.status, url: next.href, headers: response.headers, text }
        }
        url = next
        form = undefined
      }
      throw new Error(`${start} redirects without end`)
    },
  }
}

export interface SignInServer {
  base: string
  signedIn: SignedIn[]
  events: SignInEvent[]
  /** Milliseconds since the epoch; what `now` says. */
  clock: { now: number }
  /** Answers of the accounts' side from now on. */
  conclude: SignInAccounts['conclude']
  /** To be set before the first request. */
  providers: SignInProvider[]
  stop(): Promise<void>
}

export const EXPIRES = Date.UTC(2030, 0, 5, 12)

/** The pages of sign-in on a port of their own, with accounts in memory. */
export function startSignInServer(pathPrefix = ''): SignInServer {
  let pages: ReturnType<typeof createSignIn> | undefined
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      pages ??= createSignIn({
        providers: fixture.providers,
        accounts: { conclude: (identity) => fixture.conclude(identity) },
        now: () => fixture.clock.now,
        record: (event) => fixture.events.push(event),
        pathPrefix,
        hsts: false,
      })
      return pages.handle(request, { ...splitUrl(request.url), base: fixture.base, address: '127.0.0.1' })
    },
  })
  const fixture: SignInServer = {
    base: `http://127.0.0.1:${server.port}`,
    signedIn: [],
    events: [],
    clock: { now: Date.UTC(2029, 11, 1) },
    conclude: async (identity) => {
      fixture.signedIn.push(identity)
      return { token: `berth_pat_${identity.account.length}`, expiresAt: EXPIRES }
    },
    providers: [],
    stop: () => server.stop(true),
  }
  return fixture
}
