import { cleanEnvironment, findProgram } from '../programs.ts'
import type { Target } from './connection.ts'
import { runLoad } from './generator.ts'
import type { Workplace } from './workplace.ts'

export interface Hammering {
  requests: number
  requestsPerSecond: number
  /** Milliseconds. */
  p50: number
  p99: number
}

/** What a load did, and what the client itself used for it. */
export interface Measured extends Hammering {
  clientCpuSeconds: number
}

export interface HammerOptions {
  target: Target
  path: string
  connections: number
  seconds: number
}

const ACCEPT = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'

/** Whether wrk is installed; without it the load's own client does the work, which costs more than wrk does. */
export const hasWrk = findProgram('wrk') !== undefined

/** Seconds that wrk gets to connect and to end, besides those it was asked for. */
const GRACE = 30

/** Closed loop over keep-alive connections. @throws Error unless every answer was a success. */
export async function hammer(workplace: Workplace, options: HammerOptions): Promise<Measured> {
  const { target, path, connections, seconds } = options
  const wrk = findProgram('wrk')
  if (wrk === undefined) {
    const { requests, seconds: took, latency, cpuSeconds } = await runLoad(workplace, { kind: 'repeat', ...options })
    const { p50 = Number.NaN, p99 = Number.NaN } = latency ?? {}
    return { requests, requestsPerSecond: requests / took, p50, p99, clientCpuSeconds: cpuSeconds }
  }
  const command = [
    ...[wrk, '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', `Accept: ${ACCEPT}`],
    ...(target.authorization === undefined ? [] : ['-H', `Authorization: ${target.authorization}`]),
    `${target.tls ? 'https' : 'http'}://${target.host}:${target.port}${path}`,
  ]
  const child = Bun.spawn(command, {
    ...{ env: cleanEnvironment(), stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    ...{ timeout: (seconds + GRACE) * 1000, killSignal: 'SIGKILL' },
  })
  workplace.own(child)
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  if (code !== 0) throw new Error(`wrk: exit ${code}: ${stderr}`)
  return { ...parseWrk(stdout), clientCpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6 }
}

const MILLISECONDS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** Reads what `wrk --latency` prints. @throws Error when there were answers other than success, or broken connections. */
export function parseWrk(output: string): Hammering {
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(output)
  if (bad !== null) throw new Error(`wrk: ${bad[0]}`)
  const rate = /^Requests\/sec:\s+([\d.]+)$/m.exec(output)?.[1]
  if (rate === undefined) throw new Error(`wrk: unreadable output\n${output}`)
  const requests = /^\s+(\d+) requests in /m.exec(output)?.[1]
  return {
    requests: Number(requests),
    requestsPerSecond: Number(rate),
    p50: latencyAt(output, 50),
    p99: latencyAt(output, 99),
  }
}

function latencyAt(output: string, percent: number): number {
  const match = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m) *$`, 'm').exec(output)
  const scale = MILLISECONDS[match?.[2] ?? '']
  if (match === null || scale === undefined) throw new Error(`wrk: no ${percent}% in\n${output}`)
  return Number(match[1]) * scale
}
