const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Milliseconds of a Go duration (`10s`, `2h45m`, `1.5h`), or undefined when it is none. A bare whole number is
 * nanoseconds, as Go's YAML decoder reads it. Fractions of a millisecond are kept.
 */
export function parseDuration(text: string): number | undefined {
  if (/^[-+]?\d+$/.test(text)) return finite(Number(text) * 1e-6)
  const match = /^([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/.exec(text)
  if (match === null) return undefined
  let total = 0
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g)) {
    total += Number(amount) * (UNITS[unit ?? ''] ?? 0)
  }
  return finite(match[1] === '-' ? -total : total)
}

/** Milliseconds of Go's longest: 292 years, which no date is too small for. */
const LONGEST = 2 ** 63 / 1e6

const finite = (value: number): number | undefined => (Math.abs(value) <= LONGEST ? value : undefined)
