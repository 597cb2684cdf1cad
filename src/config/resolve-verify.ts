import { parseSize } from '../oci/size.ts'
import type { VerifyConfig } from './config-collection.ts'
import type { Distribution } from './distribution.ts'
import type { Places } from './places.ts'
import { refuseUnitless } from './span.ts'

/** A pass that is slower would never end: a terabyte takes half a year. Bytes a second. */
const LEAST_RATE = 64 * 1024

export function resolveVerify(raw: Distribution['verify'], places: Places): VerifyConfig {
  const rate = rateOf(raw.rate ?? '0')
  if (rate === undefined) problem(['verify', 'rate'], raw.rate, places)
  const scrubRate = rateOf(raw.scrub.rate ?? '')
  if (scrubRate === undefined || scrubRate < LEAST_RATE) problem(['verify', 'scrub', 'rate'], raw.scrub.rate, places)
  refuseUnitless(raw.quarantine, ['verify', 'quarantine'], places)
  return {
    rate: rate === 0 ? undefined : rate,
    scrub: { enabled: raw.scrub.enabled, everyMs: raw.scrub.every, rate: scrubRate ?? LEAST_RATE },
    quarantineMs: raw.quarantine,
  }
}

/** `50MiB/s`, `50MiB`; undefined for what is no rate. */
export function rateOf(text: string): number | undefined {
  return parseSize(text.replace(/\s*\/\s*s$/, ''))
}

function problem(path: string[], value: unknown, places: Places): void {
  const least = path.length > 2 ? ', at least 64KiB' : '; 0 sets no limit'
  places.problem(path, `${JSON.stringify(value)} is no rate`, `Write bytes a second such as 10MiB/s${least}.`)
}
