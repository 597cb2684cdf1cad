import { RE2JS } from 're2js'
import { isIP } from '../oci/ip-address.ts'

/** What RE2 says against an expression, or undefined when it compiles. */
export function regexpFault(expression: string): string | undefined {
  try {
    RE2JS.compile(expression)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** The expression of docker_auth's `/re/` form (longer than `//`), or undefined for a glob. */
export function regexpOf(pattern: string): string | undefined {
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/') ? pattern.slice(1, -1) : undefined
}

/** True for an address or a CIDR block of either family. */
export function isIpPattern(text: string): boolean {
  const slash = text.indexOf('/')
  if (slash < 0) return isIP(text) !== 0 && !text.includes('%')
  return isCidr(text)
}

/** True for a CIDR block as Go's `net.ParseCIDR` reads it. */
export function isCidr(text: string): boolean {
  const match = /^([^/%]+)\/(\d{1,3})$/.exec(text)
  const family = isIP(match?.[1] ?? '')
  return family !== 0 && Number(match?.[2]) <= (family === 4 ? 32 : 128)
}
