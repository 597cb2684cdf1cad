/**
 * Path and query of a request's URL, which is absolute, or a bare path where the request had no Host
 * (HTTP/1.0) or one that no URL can hold. `new URL` would throw there.
 */
export function splitUrl(url: string): { path: string; query: string } {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3)
  if (start === -1) return { path: '/', query: '' }
  const hash = url.indexOf('#', start)
  const end = hash === -1 ? url.length : hash
  const mark = url.indexOf('?', start)
  if (mark === -1 || mark > end) return { path: url.slice(start, end), query: '' }
  return { path: url.slice(start, mark), query: url.slice(mark + 1, end) }
}

/** Clients may encode what needs no encoding (`sha256%3A...`): RFC 3986 section 2.3 and registry:2 take it as the same. */
export function decodePath(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
