/** The random name of a browser while it signs in. */
const NAME = 'berth-sign-in'
/** 256 bits in base64url. */
const VALUE = /^[A-Za-z0-9_-]{43}$/

/** RFC 6265bis section 4.1.3.1: over TLS nobody can plant one from a page without it. */
function nameOf(secure: boolean): string {
  return secure ? `__Secure-${NAME}` : NAME
}

/** The browser that sends the request; undefined when it has no (sound) cookie. */
export function browserOf(request: Request, secure: boolean): string | undefined {
  const name = nameOf(secure)
  for (const pair of (request.headers.get('cookie') ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue
    const value = pair.slice(equals + 1).trim()
    return VALUE.test(value) ? value : undefined
  }
  return undefined
}

/** Set-Cookie. Lax: it must come along when the provider sends the browser back. */
export function browserCookie(browser: string, options: { path: string; secure: boolean; maxAgeMs: number }): string {
  const { path, secure, maxAgeMs } = options
  const age = Math.floor(maxAgeMs / 1000)
  const flag = secure ? '; Secure' : ''
  return `${nameOf(secure)}=${browser}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Lax${flag}`
}
