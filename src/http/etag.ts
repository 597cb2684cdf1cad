/**
 * Whether an If-None-Match header names the digest (RFC 9110 section 13.1.2): a list of entity tags, weak or not, or `*`;
 * unquoted too, as registry:2 takes it.
 */
export function matchesEtag(header: string | null, digest: string): boolean {
  if (header === null) return false
  return header.split(',').some((part) => {
    const tag = part.trim().replace(/^W\//, '')
    return tag === '*' || tag === digest || tag === `"${digest}"`
  })
}
