export interface Credentials {
  user: string
  password: string
}

/** RFC 4648 section 4, padded; Go's decoder takes no other. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * `Authorization: Basic …` (RFC 7617): scheme in any case, one space, strict base64, a colon; the password may hold
 * colons. Undefined for everything else, which is no error: such a client has shown no credentials.
 */
export function parseBasic(authorization: string | undefined): Credentials | undefined {
  if (authorization === undefined || authorization.slice(0, 6).toLowerCase() !== 'basic ') return undefined
  const encoded = authorization.slice(6)
  if (!BASE64.test(encoded)) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** The token of `Authorization: Bearer TOKEN`, scheme in any case; undefined for everything else. */
export function parseBearer(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8 || authorization.charCodeAt(6) !== 32) return undefined
  const scheme = authorization.slice(0, 6)
  if (scheme !== 'Bearer' && scheme.toLowerCase() !== 'bearer') return undefined
  const token = authorization.slice(7)
  return token.includes(' ') ? undefined : token
}
