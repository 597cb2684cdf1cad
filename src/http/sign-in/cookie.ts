/**
 * A cookie for each sign-in under way, named after its state: two tabs that begin at once do not overwrite each other's.
 */
const NAME = 'berth-sign-in-'
const STATE = /^[A-Za-z0-9_-]{43}$/
/** Characters of the state in the name, which only has to tell the few of one browser apart. */
const TOLD_STATE = 12
/** What a browser keeps of one cookie, RFC 6265 section 6.1, less its name and attributes. */
const VALUE = /^[A-Za-z0-9_-]{1,3900}$/
/** Sign-ins under way in one browser; the oldest go, for all of them come with each request, and headers have a limit. */
const MAX_BEGUN = 8

export interface CookieScope {
  path: string
  /** Whether the browser is on TLS. */
  secure: boolean
}

/** What the browser keeps for a state; undefined when it has nothing (sound). */
export function sealedOf(request: Request, state: string, secure: boolean): string | undefined {
  if (!STATE.test(state)) return undefined
  const name = nameOf(state, secure)
  const value = cookiesOf(request).find((cookie) => cookie.name === name)?.value
  return value !== undefined && VALUE.test(value) ? value : undefined
}

/** Values of Set-Cookie that keep a sign-in, and drop those that are too many. Lax: it must come along when the provider sends the browser back. */
export function begunCookies(
  request: Request,
  { state, sealed }: { state: string; sealed: string },
  { maxAgeMs, ...scope }: CookieScope & { maxAgeMs: number },
): string[] {
  const prefix = prefixOf(scope.secure)
  const form = new RegExp(`^${prefix}[A-Za-z0-9_-]{${TOLD_STATE}}$`)
  // The oldest come first, RFC 6265 section 5.4.
  const others = cookiesOf(request).filter(({ name }) => form.test(name))
  const surplus = others.slice(0, Math.max(0, others.length - MAX_BEGUN + 1))
  return [
    ...surplus.map(({ name }) => cookie(name, '', 0, scope)),
    cookie(nameOf(state, scope.secure), sealed, Math.floor(maxAgeMs / 1000), scope),
  ]
}

/** The value of Set-Cookie that drops a sign-in. */
export function endedCookie(state: string, scope: CookieScope): string {
  return cookie(nameOf(state, scope.secure), '', 0, scope)
}

function cookie(name: string, value: string, maxAge: number, { path, secure }: CookieScope): string {
  return `${name}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}

/** RFC 6265bis section 4.1.3.1: over TLS nobody can plant one from a page without it. */
function prefixOf(secure: boolean): string {
  return secure ? `__Secure-${NAME}` : NAME
}

function nameOf(state: string, secure: boolean): string {
  return `${prefixOf(secure)}${state.slice(0, TOLD_STATE)}`
}

function cookiesOf(request: Request): { name: string; value: string }[] {
  return (request.headers.get('cookie') ?? '').split(';').flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals === -1 ? [] : [{ name: pair.slice(0, equals).trim(), value: pair.slice(equals + 1).trim() }]
  })
}
