const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000 } as const

type Unit = keyof typeof UNITS

const isUnit = (text: string): text is Unit => Object.hasOwn(UNITS, text)

/** Milliseconds of an age as people write one: `90d`, `2w`, `12h`, `1h30m`, `1y` (365 days). Undefined when it is none. */
export function parseAge(text: string): number | undefined {
  if (!/^(?:\d{1,9}[smhdwy])+$/.test(text)) return undefined
  let total = 0
  for (const [, amount, unit = ''] of text.matchAll(/(\d+)([smhdwy])/g)) {
    if (isUnit(unit)) total += Number(amount) * UNITS[unit]
  }
  return Number.isSafeInteger(total) ? total : undefined
}

/** About how long that is, in one unit: `45d`, `30h`, `5m`. Never negative. */
export function ageText(milliseconds: number): string {
  const ms = Math.max(0, milliseconds)
  for (const unit of ['d', 'h', 'm'] as const) {
    if (ms >= 2 * UNITS[unit]) return `${Math.floor(ms / UNITS[unit])}${unit}`
  }
  return `${Math.floor(ms / 1000)}s`
}
