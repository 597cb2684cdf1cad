const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** How clients reach the server: what is needed of a request to tell. */
export interface OriginRequest {
  headers: Headers
  /** Whether the connection itself is TLS. */
  secure: boolean
  /** Whether headers that a proxy sets are believed from this peer. */
  believed: boolean
}

/** A Host header (or its forwarded form) that can stand in a URL. */
export function isHost(text: string): boolean {
  return text.length <= 300 && HOST.test(text)
}

/**
 * `scheme://host` as the client sees it: `Forwarded` (RFC 7239, first element), else `X-Forwarded-Proto` and `-Host`
 * (first of the list), each only from a peer that is believed, else the connection. Undefined without a usable Host.
 */
export function originOf({ headers, secure, believed }: OriginRequest): string | undefined {
  let scheme = secure ? 'https' : 'http'
  let host = headers.get('host') ?? ''
  if (believed) {
    const forwarded = parseForwarded(headers.get('forwarded'))
    const proto = (forwarded.proto ?? first(headers.get('x-forwarded-proto')))?.toLowerCase()
    const forwardedHost = forwarded.host ?? first(headers.get('x-forwarded-host'))
    if (proto === 'http' || proto === 'https') scheme = proto
    if (forwardedHost !== undefined && isHost(forwardedHost)) host = forwardedHost
  }
  return isHost(host) ? `${scheme}://${host}` : undefined
}

function first(list: string | null): string | undefined {
  const value = list?.split(',', 1)[0]?.trim()
  return value === '' ? undefined : value
}

/** RFC 7239 section 4: the first element. Longer ones than any proxy writes are not looked at. */
function parseForwarded(header: string | null): { proto?: string; host?: string } {
  const result: { proto?: string; host?: string } = {}
  const element = first(header) ?? ''
  if (element.length > MAX_FORWARDED) return result
  for (const pair of element.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1) continue
    const name = pair.slice(0, equals).trim().toLowerCase()
    const value = unquoted(pair.slice(equals + 1).trim())
    if (value === undefined) continue
    if (name === 'proto') result.proto = value
    else if (name === 'host') result.host = value
  }
  return result
}

const MAX_FORWARDED = 1024

function unquoted(text: string): string | undefined {
  const inner = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : undefined
  if (inner !== undefined) return /["\\]/.test(inner) ? undefined : inner
  return /[\s"]/.test(text) ? undefined : text
}
