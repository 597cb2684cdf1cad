import { median } from './figures.ts'
import { runLoad } from './generator.ts'
import { GOALS } from './goals.ts'
import { fillPath } from './load-requests.ts'
import type { Bench } from './part.ts'
import { type Server, startServer } from './servers.ts'
import { hammer } from './wrk.ts'

const FEW = 100
const PAGE = 100
const PART = 'Flat cost of a page of 100'
const CONNECTIONS = 4

/** A page of a list must cost the same however long the list is. Only Berth: the peer walks its folders. */
export async function flat(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const { workplace, credentials } = bench
  const many = bench.quick ? 10_000 : 100_000
  const medium = workplace.media.includes('memory') ? 'memory' : 'disk'
  const options = { name: 'berth', medium, access: 'plain' } as const
  const small = await startServer(workplace, credentials, options)
  try {
    const large = await startServer(workplace, credentials, options)
    try {
      await fillBoth(bench, small, FEW)
      await fillBoth(bench, large, many)
      await compare(bench, small, large, many)
    } finally {
      await large.stop()
    }
  } finally {
    await small.stop()
  }
}

async function fillBoth(bench: Bench, { target }: Server, count: number): Promise<void> {
  for (const what of ['repositories', 'tags'] as const) {
    bench.progress(`filling ${count} ${what}`)
    await runLoad(bench.workplace, { kind: 'fill', target, connections: 16, count, what })
  }
}

async function compare(bench: Bench, small: Server, large: Server, many: number): Promise<void> {
  const lists = [
    { name: '_catalog', first: '/v2/_catalog', middle: `flat/r-${numberAt(many / 2)}` },
    { name: 'tags/list', first: '/v2/flat/tagged/tags/list', middle: `t-${numberAt(many / 2)}` },
  ]
  for (const { name, first, middle } of lists) {
    const start = `${first}?n=${PAGE}`
    const costs = { few: [] as number[], many: [] as number[], middle: [] as number[] }
    for (let round = 0; round <= bench.rounds; round++) {
      const few = await costOf(bench, small, start)
      const all = await costOf(bench, large, start)
      const within = await costOf(bench, large, `${start}&last=${middle}`)
      // The first round only warms up.
      if (round === 0) continue
      costs.few.push(few)
      costs.many.push(all)
      costs.middle.push(within)
    }
    const add = (what: string, unit: string, value: number | undefined, goal = false) => {
      if (value === undefined) return
      bench.figures.add(
        { part: PART, name: `${name}: ${what}`, unit, ...(goal ? { goal: GOALS.flat } : {}) },
        'berth',
        value,
      )
    }
    const few = median(costs.few) ?? Number.NaN
    const all = median(costs.many) ?? Number.NaN
    const within = median(costs.middle) ?? Number.NaN
    add(`of ${FEW}`, 'server CPU µs', few)
    add(`of ${many}`, 'server CPU µs', all)
    add(`of ${many}, in the middle`, 'server CPU µs', within)
    add(`of ${many} / of ${FEW}`, '×', all / few, true)
    add(`of ${many}, in the middle / of ${FEW}`, '×', within / few, true)
  }
}

/** Microseconds of the server's CPU for one request. */
async function costOf(bench: Bench, server: Server, path: string): Promise<number> {
  const seconds = 1
  const before = server.cpuSeconds()
  const options = { target: server.target, path, connections: CONNECTIONS, seconds }
  const { requestsPerSecond } = await hammer(bench.workplace, options)
  return ((server.cpuSeconds() - before) * 1e6) / (requestsPerSecond * seconds)
}

function numberAt(index: number): string {
  return /(\d+)\/manifests/.exec(fillPath('repositories', Math.floor(index)))?.[1] ?? ''
}
