/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a browser sent the request for a page of another site, with the password that it remembers for this one.
 * Only browsers send Origin (RFC 6454 section 7), and no page can set it, nor X-Forwarded-Host without asking first.
 */
export function isForeign(request: Request): boolean {
  const origin = request.headers.get('origin')
  if (origin === null || SAFE.has(request.method)) return false
  const scheme = /^(https?:)\/\/./.exec(origin)?.[1]
  const asked = hostOf(origin)
  if (scheme === undefined || asked === undefined) return true
  const forwarded = request.headers.get('x-forwarded-host')?.split(',', 1)[0]?.trim()
  const own = [request.headers.get('host'), forwarded].map((host) => hostOf(`${scheme}//${host ?? ''}`))
  return !own.includes(asked)
}

/** Host and port, without the scheme's own port. */
function hostOf(url: string): string | undefined {
  try {
    return new URL(url).host || undefined
  } catch {
    return undefined
  }
}
