/** Milliseconds where a connection string says nothing. */
export const CONNECT_MS = 5_000
export const QUERY_MS = 5_000
/** Milliseconds that it can ask for at most: somebody waits for the answer. */
const MAX_MS = 60_000

/** What is wrong with a connection string. Its message shows names of parameters, never values: they may be secrets. */
export class BadConnection extends Error {}

/** Unescapes `%20`; `+` stays. @throws BadConnection */
export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BadConnection('has a % that is no escape (write %25)')
  }
}

/** `a=1&b=2`, where `+` is a space; the last of equal names holds. @throws BadConnection */
export function queryParameters(text: string): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const part of text.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    if (equals === -1) throw new BadConnection('has a parameter without a value')
    const [name, value] = [part.slice(0, equals), part.slice(equals + 1)]
    parameters.set(unescaped(name), unescaped(value.replaceAll('+', ' ')))
  }
  return parameters
}

/** @throws BadConnection */
export function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new BadConnection('has a port that is no number')
  return port
}

const FALSE = new Set(['0', 'false', 'FALSE', 'False'])
const TRUE = new Set(['1', 'true', 'TRUE', 'True'])

/** A boolean as go-sql-driver spells it. @throws BadConnection */
export function flagOf(name: string, text: string): boolean {
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  throw new BadConnection(`${name} is neither true nor false`)
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a duration as Go writes it (`1m30s`); 0 is `without`. @throws BadConnection */
export function durationOf(name: string, text: string, without: number): number {
  if (text === '0') return without
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text))
    throw new BadConnection(`${name} is no duration such as 5s`)
  let ms = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)([a-zµ]+)/g))
    ms += Number(number) * (UNITS[unit ?? ''] ?? 0)
  return limited(ms, without)
}

/** At least one millisecond and at most a minute; 0 is `without`. */
export function limited(ms: number, without: number): number {
  return ms === 0 ? without : Math.min(Math.max(1, Math.round(ms)), MAX_MS)
}
