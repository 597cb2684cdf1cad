import { isIP } from 'node:net'
import { RE2JS } from 're2js'

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

/** True when Go's `path.Match` would answer ErrBadPattern: an unclosed or empty class, a range without end, a last backslash. */
export function isMalformedGlob(pattern: string): boolean {
  const runes = [...pattern]
  let index = 0
  /** One rune of a class; false when there is none. */
  const takeRune = (): boolean => {
    const rune = runes[index]
    if (rune === undefined || rune === '-' || rune === ']') return false
    index += rune === '\\' ? 2 : 1
    return index < runes.length
  }
  while (index < runes.length) {
    const rune = runes[index]
    index += 1
    if (rune === '\\') {
      if (index >= runes.length) return true
      index += 1
    } else if (rune === '[') {
      if (runes[index] === '^') index += 1
      for (let ranges = 0; ranges === 0 || runes[index] !== ']'; ranges++) {
        if (!takeRune()) return true
        if (runes[index] !== '-') continue
        index += 1
        if (!takeRune()) return true
      }
      index += 1
    }
  }
  return false
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
