const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

/** A number of bytes for people, such as `212.4 MiB`; rounded down, so that it is never more than there is. */
export function sizeText(bytes: number): string {
  let unit = 0
  let amount = Math.max(0, bytes) / 1024
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  return `${Math.floor(amount * 10) / 10} ${UNITS[unit]}`
}
