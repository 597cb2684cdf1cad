import type { Health } from '../telemetry/health.ts'
import type { Lifecycle } from '../telemetry/lifecycle.ts'

/** What asks whether the program lives, wants requests, has started (Kubernetes' three probes). */
export type Probes = (request: Request, path: string) => Response | undefined

export interface ProbesOptions {
  health: Health
  lifecycle: Lifecycle
  /** Whether the answer says why: only for whoever may know how the server is. */
  telling: boolean
}

/** The longest path that is a probe's. */
export const LONGEST_PROBE = '/startupz'.length

export const PROBE_PATHS = ['/livez', '/readyz', '/startupz'] as const

export function isProbe(path: string): boolean {
  return path === '/livez' || path === '/readyz' || path === '/startupz'
}

/** Undefined for any other path. */
export function createProbes({ health, lifecycle, telling }: ProbesOptions): Probes {
  function faultsOf(path: string): string[] | undefined {
    switch (path) {
      case '/livez':
        return []
      case '/startupz':
        return lifecycle.started ? [] : [lifecycle.obstacle ?? 'the server is starting']
      case '/readyz': {
        const obstacle = lifecycle.obstacle
        const checks = Object.entries(health.unready()).map(([name, finding]) => `${name}: ${finding}`)
        return obstacle === undefined ? checks : [obstacle, ...checks]
      }
      default:
        return undefined
    }
  }

  return (request, path) => {
    const faults = faultsOf(path)
    if (faults === undefined) return undefined
    const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return new Response('Method not allowed\n', { status: 405, headers: { ...headers, Allow: 'GET, HEAD' } })
    }
    if (faults.length === 0) return new Response('ok\n', { headers })
    return new Response(telling ? `${faults.join('\n')}\n` : 'not ready\n', { status: 503, headers })
  }
}
