import { parseAddress } from './address.ts'
import type { HealthConfig, HealthTiming } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** distribution's interval, also where 0 is said. */
const INTERVAL_MS = 10_000
/** The original waits for ever; a check that hangs is a failure here. */
const TIMEOUT_MS = 10_000
const LEAST_INTERVAL_MS = 100

export function resolveHealth(raw: Distribution['health'], places: Places): HealthConfig {
  const { storagedriver } = raw
  return {
    storage: storagedriver.enabled ? timing(storagedriver, ['health', 'storagedriver'], places) : undefined,
    files: raw.file.map((check, index) => {
      const path = ['health', 'file', index]
      const { file = '' } = check
      if (file === '') places.problem([...path, 'file'], 'must name a file')
      return { ...timing(check, path, places), file }
    }),
    urls: raw.http.map((check, index) => {
      const path = ['health', 'http', index]
      const { uri: url = '', headers, statuscode, timeout } = check
      if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
        places.problem([...path, 'uri'], 'must be a URL that can be asked', 'Write one such as http://127.0.0.1:8080/.')
      }
      const status = statuscode === 0 ? 200 : statuscode
      if (status < 200 || status > 599) places.problem([...path, 'statuscode'], 'is no status of an answer')
      checkHeaders(headers, [...path, 'headers'], places)
      return { ...timing(check, path, places), url, headers, status, timeoutMs: timeout || TIMEOUT_MS }
    }),
    addresses: raw.tcp.map((check, index) => {
      const path = ['health', 'tcp', index]
      const parsed = parseAddress(check.addr ?? '')
      if ('wrong' in parsed) places.problem([...path, 'addr'], parsed.wrong, parsed.fix)
      const { hostname, port } = 'listen' in parsed ? parsed.listen : { hostname: '', port: 0 }
      // To dial no host is to dial this one.
      const target = hostname === '::' ? 'localhost' : hostname
      return { ...timing(check, path, places), hostname: target, port, timeoutMs: check.timeout || TIMEOUT_MS }
    }),
  }
}

function timing(
  { interval, threshold }: { interval: number; threshold: number },
  path: Path,
  places: Places,
): HealthTiming {
  if (threshold < 0) places.problem([...path, 'threshold'], 'must not be negative')
  const intervalMs = interval || INTERVAL_MS
  if (intervalMs < LEAST_INTERVAL_MS) {
    const fix = 'A number without a unit is nanoseconds; write one such as 10s.'
    places.problem([...path, 'interval'], `is shorter than ${LEAST_INTERVAL_MS}ms`, fix)
  }
  return { intervalMs, threshold: Math.max(1, threshold) }
}

function checkHeaders(headers: Record<string, string[]>, path: Path, places: Places): void {
  for (const [name, values] of Object.entries(headers)) {
    try {
      for (const value of values) new Headers([[name, value]])
    } catch {
      places.problem([...path, name], 'is no header that can be sent')
    }
  }
}
