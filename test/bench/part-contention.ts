import { prepareLoad } from './generator.ts'
import { GOALS } from './goals.ts'
import type { LoadSpec } from './load-spec.ts'
import {
  alternate,
  type Bench,
  blobPath,
  type Condition,
  describeCondition,
  possible,
  pushOne,
  REPOSITORY,
  SMALL_MANIFEST,
  settle,
} from './part.ts'

const CONDITIONS: readonly Condition[] = [
  { medium: 'disk', access: 'plain' },
  { medium: 'disk', access: 'token' },
  { medium: 'memory', access: 'plain' },
]
const PER_SECOND = 150
const CONNECTIONS = 16
const LEAD_SECONDS = 1
const PART = 'Manifests while others push and pull'

/** The latency that somebody sees whose registry is busy: a steady trickle of GETs, counted from when each was due. */
export async function contention(bench: Bench): Promise<void> {
  const seconds = bench.quick ? 3 : 5
  const forever = { each: 1_000_000, seconds: seconds + LEAD_SECONDS + 0.5 }
  for (const condition of possible(bench, CONDITIONS)) {
    await alternate(bench, condition, async (server, target) => {
      const digest = await pushOne(bench, target, 64)
      const backgrounds: readonly [string, LoadSpec][] = [
        [
          'while 4 pushes run',
          { kind: 'push', target, connections: 4, repository: REPOSITORY, label: 'b', blobMebibytes: 64, ...forever },
        ],
        ['while 4 pulls run', { kind: 'pull', target, connections: 4, paths: [blobPath(digest)], ...forever }],
      ]
      for (const [what, spec] of backgrounds) {
        const background = await prepareLoad(bench.workplace, spec)
        const trickle = await prepareLoad(bench.workplace, {
          ...{ kind: 'paced', target, connections: CONNECTIONS, path: SMALL_MANIFEST, perSecond: PER_SECOND, seconds },
        })
        await settle(server)
        const running = background.go()
        // Its failure is seen below, after the trickle has ended.
        running.catch(() => undefined)
        await Bun.sleep(LEAD_SECONDS * 1000)
        const { latency } = await trickle.go()
        await running
        if (latency === undefined) throw new Error('nothing was asked')
        const name = `${describeCondition(condition)}: ${what}`
        const goal = spec.kind === 'push' ? { goal: GOALS.latencyWhilePushing } : {}
        bench.figures.add({ part: PART, name, unit: 'p50 ms' }, server.name, latency.p50)
        bench.figures.add({ part: PART, name, unit: 'p99 ms', ...goal }, server.name, latency.p99)
      }
    })
  }
}
