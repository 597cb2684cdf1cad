import { type LoadResult, percentile } from './load-spec.ts'

/** What a load counts while it runs. */
export interface Tally {
  bytes: number
  requests: number
  digests: string[]
  statuses: Record<string, number>
  /** Milliseconds. */
  latencies: number[]
  fail(reason: string): void
}

/** Runs a load and answers what it did. */
export async function tallied(run: (tally: Tally) => Promise<void>): Promise<LoadResult> {
  let failures = 0
  let firstFailure: string | undefined
  const tally: Tally = {
    bytes: 0,
    requests: 0,
    digests: [],
    statuses: {},
    latencies: [],
    fail: (reason) => {
      failures++
      firstFailure ??= reason.slice(0, 500)
    },
  }
  const cpu = process.cpuUsage()
  const start = performance.now()
  try {
    await run(tally)
  } catch (cause) {
    tally.fail(String(cause))
  }
  const seconds = (performance.now() - start) / 1000
  const used = process.cpuUsage(cpu)
  return {
    seconds,
    bytes: tally.bytes,
    requests: tally.requests,
    failures,
    firstFailure,
    cpuSeconds: (used.user + used.system) / 1e6,
    latency: latencyOf(tally.latencies),
    digests: tally.digests,
    statuses: tally.statuses,
  }
}

function latencyOf(latencies: readonly number[]): LoadResult['latency'] {
  if (latencies.length === 0) return undefined
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), max: percentile(latencies, 1) }
}
