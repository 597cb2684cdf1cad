import { parseAddress } from './address.ts'
import type { DebugConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Places } from './places.ts'

const PATH = ['http', 'debug']
/** What the debug server answers besides the metrics. */
const TAKEN = /^\/(debug(\/.*)?|livez|readyz|startupz)?$/

export function resolveDebug(
  { addr, prometheus }: Distribution['http']['debug'],
  places: Places,
): DebugConfig | undefined {
  const metricsPath = prometheus.path || '/metrics'
  if (!/^\/[\w./~-]*$/.test(metricsPath) || TAKEN.test(metricsPath)) {
    places.problem([...PATH, 'prometheus', 'path'], `${JSON.stringify(metricsPath)} cannot be the path of the metrics`)
  }
  if (!addr) {
    if (prometheus.enabled) {
      const fix = 'Set http.debug.addr, such as 127.0.0.1:5001.'
      places.warn([...PATH, 'prometheus', 'enabled'], 'has no effect: there is no debug server', fix)
    }
    return undefined
  }
  const parsed = parseAddress(addr)
  if ('wrong' in parsed) {
    places.problem([...PATH, 'addr'], parsed.wrong, parsed.fix)
    return undefined
  }
  const { listen } = parsed
  if (listen.hostname === '::' || listen.hostname === '0.0.0.0') {
    places.warn(
      [...PATH, 'addr'],
      'the debug server asks nobody who he is, and listens on every address of this machine',
      'Write 127.0.0.1:PORT, or keep strangers from the port with a firewall.',
    )
  }
  return { listen, metricsPath: prometheus.enabled ? metricsPath : undefined }
}
