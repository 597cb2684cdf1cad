import { parseSize } from '../oci/size.ts'
import { CommandError } from './error.ts'

const UNITS: Record<string, number> = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000 }

/**
 * When a token ends: `90d` from now (h, d, w, y), a date (its end, in UTC), a time with its zone, or `never`.
 * Resolves to RFC 3339, null for never. @throws CommandError
 */
export function parseExpiry(text: string, now: number): string | null {
  if (text === 'never') return null
  const span = /^(\d{1,5})([hdwy])$/.exec(text)
  if (span !== null) return new Date(now + Number(span[1]) * (UNITS[span[2] ?? ''] ?? 0)).toISOString()
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T23:59:59Z` : text
  const time = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/.test(day) ? Date.parse(day) : Number.NaN
  if (Number.isNaN(time)) {
    throw new CommandError(`${JSON.stringify(text)} is no end: write 90d, 12h, 4w, 1y, 2027-01-31, or never`)
  }
  return new Date(time).toISOString()
}

/** `['team=a', 'team=b']` → `{team: ['a', 'b']}`. @throws CommandError */
export function parseLabels(pairs: readonly string[]): Record<string, string[]> {
  const labels = new Map<string, string[]>()
  for (const [label, value] of pairs.map(splitPair)) labels.set(label, [...(labels.get(label) ?? []), value])
  return Object.fromEntries(labels)
}

/** `label=value`; the value may hold further signs. @throws CommandError */
export function splitPair(pair: string): [string, string] {
  const sign = pair.indexOf('=')
  if (sign < 1) throw new CommandError(`${JSON.stringify(pair)} is no label: write NAME=VALUE`)
  return [pair.slice(0, sign), pair.slice(sign + 1)]
}

/** `pull,push` or `''` → the actions. */
export function parseActions(text: string): string[] {
  return text.split(',').flatMap((action) => (action.trim() === '' ? [] : [action.trim()]))
}

/** `50GiB` → bytes. @throws CommandError */
export function parseBytes(text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined) return Math.floor(bytes)
  throw new CommandError(`${JSON.stringify(text)} is no number of bytes: write one such as 50GiB`, 2)
}

/** Collects an option that may come several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** @throws CommandError */
export function parsePosition(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new CommandError(`${JSON.stringify(text)} is no position: 1 is the first`)
  return Number(text)
}
