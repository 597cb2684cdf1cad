import { GOALS } from './goals.ts'
import { alternate, type Bench, type Condition, describeCondition, possible, pushOne, SMALL_MANIFEST } from './part.ts'
import { hammer } from './wrk.ts'

const CONDITIONS: readonly Condition[] = [
  { medium: 'disk', access: 'plain' },
  { medium: 'disk', access: 'token' },
  { medium: 'disk', access: 'tls' },
  { medium: 'memory', access: 'plain' },
]
const CONNECTIONS = 32
const PART = 'Manifests by tag'

/** As many GETs of one small manifest as 32 connections can make. */
export async function manifests(bench: Bench): Promise<void> {
  const seconds = bench.quick ? 2 : 4
  for (const condition of possible(bench, CONDITIONS)) {
    await alternate(bench, condition, async (server, target) => {
      await pushOne(bench, target, 1)
      const options = { target, path: SMALL_MANIFEST, connections: CONNECTIONS }
      await hammer(bench.workplace, { ...options, seconds: 1 })
      const before = server.cpuSeconds()
      const { requestsPerSecond, p50, p99 } = await hammer(bench.workplace, { ...options, seconds })
      const used = server.cpuSeconds() - before
      const name = `${describeCondition(condition)}: ${CONNECTIONS} connections`
      const goals = condition.access !== 'tls'
      const add = bench.figures.add
      const rateGoal = goals ? { goal: GOALS.manifestRate } : {}
      const latencyGoal = goals ? { goal: GOALS.manifestLatency } : {}
      add({ part: PART, name, unit: 'requests/s', ...rateGoal }, server.name, requestsPerSecond)
      add({ part: PART, name, unit: 'p50 ms' }, server.name, p50)
      add({ part: PART, name, unit: 'p99 ms', ...latencyGoal }, server.name, p99)
      const perRequest = (used * 1e6) / (requestsPerSecond * seconds)
      add({ part: PART, name, unit: 'server CPU µs/request' }, server.name, perRequest)
    })
  }
}
