const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

/** A number of bytes for people, such as `212.4 MiB` or `999 B`; rounded down, so that it is never more than there is. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${Math.max(0, Math.floor(bytes))} B`
  let unit = 0
  let amount = bytes / 1024
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  return `${Math.floor(amount * 10) / 10} ${UNITS[unit]}`
}

const FACTORS: Record<string, number> = {
  ...{ '': 1, B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}

/** Bytes, which need not be whole, of `64MiB`, `1.5 GB` or `1000`; undefined for any other text. */
export function parseSize(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? []
  const factor = Object.hasOwn(FACTORS, unit) ? FACTORS[unit] : undefined
  return amount === '' || factor === undefined ? undefined : Number(amount) * factor
}
