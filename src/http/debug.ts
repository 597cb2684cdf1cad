import type { Health } from '../telemetry/health.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { METRICS_TYPE } from '../telemetry/metrics-text.ts'
import { PROBE_PATHS, type Probes } from './probes.ts'
import type { Fetch } from './server.ts'
import { splitUrl } from './url.ts'

export interface DebugOptions {
  health: Health
  probes: Probes
  metrics: Metrics
  /** Undefined: none are served. */
  metricsPath: string | undefined
}

/**
 * distribution's debug server (`http.debug`): whoever reaches it is told how the program is, and nothing of what is stored.
 * Go's own pages (pprof, expvar) have nothing to show here, and say where to look instead.
 */
export function createDebugServer(options: DebugOptions): Fetch {
  const { health, probes, metrics, metricsPath } = options

  async function scrape(): Promise<Response> {
    return new Response(await metrics.expose(), {
      headers: { 'Content-Type': METRICS_TYPE, 'Cache-Control': 'no-store' },
    })
  }

  function answer(request: Request, path: string): Response | Promise<Response> {
    if (path === HEALTH_PATH) {
      const failures = health.failures()
      const status = Object.keys(failures).length === 0 ? 200 : 503
      return new Response(JSON.stringify(failures), { status, headers: { 'Content-Type': JSON_TYPE, ...FRESH } })
    }
    if (path === metricsPath) return scrape()
    if (path === '/') return said(200, index(metricsPath))
    if (path === '/debug/vars') return said(404, `expvar is Go's; ${metricsHint(metricsPath)}`)
    if (path.startsWith('/debug/pprof')) return said(404, "pprof is Go's; there is nothing like it here")
    return probes(request, path) ?? said(404, '404 page not found')
  }

  return (request) => {
    const { path } = splitUrl(request.url)
    if (request.method === 'GET' || request.method === 'HEAD') return answer(request, path)
    return new Response('Method not allowed\n', { status: 405, headers: { ...PLAIN, Allow: 'GET, HEAD' } })
  }
}

export const HEALTH_PATH = '/debug/health'
const JSON_TYPE = 'application/json; charset=utf-8'
const FRESH = { 'Cache-Control': 'no-store' }
const PLAIN = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' }

function said(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { ...PLAIN, ...FRESH } })
}

function metricsHint(metricsPath: string | undefined): string {
  return metricsPath === undefined
    ? 'http.debug.prometheus.enabled serves what is counted'
    : `what is counted is at ${metricsPath}`
}

function index(metricsPath: string | undefined): string {
  const paths = [HEALTH_PATH, ...PROBE_PATHS]
  return [...paths, ...(metricsPath === undefined ? [] : [metricsPath])].join('\n')
}
