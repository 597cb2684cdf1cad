import type { Target } from './connection.ts'
import { prepareLoad } from './generator.ts'
import { GOALS } from './goals.ts'
import type { LoadSpec } from './load-spec.ts'
import {
  alternate,
  type Bench,
  blobPath,
  type Condition,
  describeCondition,
  GIBIBYTE,
  possible,
  REPOSITORY,
  settle,
} from './part.ts'
import type { Server } from './servers.ts'

interface Transfer extends Condition {
  /** Connections at a time, with how often each pushes and each pulls. */
  steps: readonly { connections: number; pushes: number; pulls: number }[]
}

const PLAIN = [
  { connections: 1, pushes: 2, pulls: 8 },
  { connections: 4, pushes: 1, pulls: 4 },
  { connections: 16, pushes: 1, pulls: 1 },
]
const FOUR = [{ connections: 4, pushes: 1, pulls: 3 }]

const TRANSFERS: readonly Transfer[] = [
  { medium: 'disk', access: 'plain', steps: PLAIN },
  { medium: 'disk', access: 'token', steps: FOUR },
  { medium: 'disk', access: 'tls', steps: FOUR },
  { medium: 'memory', access: 'plain', steps: PLAIN },
]

/** Pushes and pulls of large blobs: what they cost the server, and how fast they are. */
export async function transfer(bench: Bench): Promise<void> {
  const blobMebibytes = bench.quick ? 128 : 256
  for (const condition of possible(bench, TRANSFERS)) {
    await alternate(bench, condition, async (server, target) => {
      const digests: string[] = []
      for (const { connections, pushes } of condition.steps) {
        const label = `p${connections}`
        const spec = { connections, repository: REPOSITORY, label, blobMebibytes, each: pushes }
        digests.push(...(await measure(bench, condition, server, { kind: 'push', target, ...spec })))
      }
      for (const { connections, pulls } of condition.steps) {
        const paths = digests.slice(-Math.max(4, connections)).map(blobPath)
        await measure(bench, condition, server, { kind: 'pull', target, connections, paths, each: pulls })
      }
    })
  }
}

async function measure(
  bench: Bench,
  condition: Condition,
  server: Server,
  spec: LoadSpec & { target: Target; kind: 'push' | 'pull' },
): Promise<readonly string[]> {
  const load = await prepareLoad(bench.workplace, spec)
  await settle(server)
  const before = server.cpuSeconds()
  const { bytes, seconds, cpuSeconds, digests } = await load.go()
  const used = server.cpuSeconds() - before
  const gibibytes = bytes / GIBIBYTE
  const isPush = spec.kind === 'push'
  const part = isPush ? 'Pushing blobs' : 'Pulling blobs'
  const name = `${describeCondition(condition)}: ${spec.connections} at a time`
  const isPlain = condition.access === 'plain'
  const isTls = condition.access === 'tls'
  const cpuGoal = isPush ? GOALS.pushCpu : GOALS.pullCpu
  const hasSpeedGoal = isPlain && condition.medium === 'disk' && (isPush || spec.connections === 4)
  const speedGoal = isPush ? GOALS.pushSpeed : GOALS.pullSpeed
  const { figures } = bench
  figures.add(
    { part, name, unit: 'server CPU s/GiB', ...(isTls ? {} : { goal: cpuGoal }) },
    server.name,
    used / gibibytes,
  )
  figures.add(
    { part, name, unit: 'GiB/s', ...(hasSpeedGoal ? { goal: speedGoal } : {}) },
    server.name,
    gibibytes / seconds,
  )
  figures.add({ part, name, unit: 'client CPU s/GiB' }, server.name, cpuSeconds / gibibytes)
  return digests
}
