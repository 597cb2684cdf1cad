/** Of one list: more than the largest registries have, at the smallest page that any gives. */
export const MOST_PAGES = 10_000

/** What the Link of an answer leads to with `rel="next"` (RFC 8288), as `Session` takes it: a path below `/v2/`, or a URL. */
export function nextPage(response: Response): string | undefined {
  const link = response.headers.get('link')
  const match = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '')
  const target = match?.[1]
  if (target === undefined) return undefined
  const marker = '/v2/'
  if (/^https?:\/\//i.test(target)) return target
  const at = target.indexOf(marker)
  return at === -1 ? undefined : target.slice(at + marker.length)
}
