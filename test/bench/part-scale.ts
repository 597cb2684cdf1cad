import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { askBerth, collectionEnded, startCollection, textOfBerth } from './berth-api.ts'
import { GOALS } from './goals.ts'
import { percentile } from './load-spec.ts'
import { type Bench, settle, withServer } from './part.ts'
import { LARGEST, type Rows, SAME, SUBJECT, writeRows } from './registry-rows.ts'
import type { Server } from './servers.ts'
import { hammer } from './wrk.ts'

const PART = 'Scale'
const PUSHES = 40
const GARBAGE = 2000

/** Linear in what there is, and so said. */
const GROWING = new Set(['making the rows', 'counting for a new quota'])

interface Size {
  name: string
  rows: Rows
}

/** Unit → value, by what was done. */
type Costs = Map<string, [unit: string, value: number]>

/**
 * What a registry of a million blobs costs beside one of a thousand: in a process and a database of its own each. The rows are made
 * directly, and the files of blobs are not there. Only Berth: the peer has no database.
 */
export async function scale(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const few: Size = { name: '1,000 blobs', rows: { blobs: 1000, repositories: 10, garbage: GARBAGE, garbageBytes: 0 } }
  const many: Size = bench.quick
    ? { name: '100,000 blobs', rows: { ...few.rows, blobs: 100_000, repositories: 100 } }
    : { name: '1,000,000 blobs', rows: { ...few.rows, blobs: 1_000_000, repositories: 1000 } }
  const medium = bench.workplace.media.includes('memory') ? 'memory' : 'disk'
  for (let round = 1; round <= bench.rounds; round++) {
    const found: Costs[] = []
    for (const { name, rows } of [few, many]) {
      bench.progress(`round ${round} of ${bench.rounds}: making ${name}`)
      const folder = bench.workplace.folder(medium, 'scale')
      const began = performance.now()
      await writeRows(join(folder, 'data'), rows)
      const made = performance.now() - began
      bench.progress(`round ${round} of ${bench.rounds}: ${name}`)
      const start = { name: 'berth', medium, access: 'plain', folder, config: { gc: { enabled: false } } } as const
      await withServer(bench, start, async (server) => {
        const costs = await measure(bench, server)
        costs.set('making the rows', ['s', made / 1000])
        costs.set('start', ['ms', server.startedAfterMs])
        costs.set('peak memory', ['MiB', server.peakMebibytes()])
        found.push(costs)
        for (const [what, [unit, value]] of costs) add(bench, `${what}: ${name}`, unit, value)
      })
    }
    const [small, large] = found
    for (const [what, [, value]] of large ?? []) {
      const base = small?.get(what)?.[1]
      if (base === undefined || GROWING.has(what)) continue
      bench.figures.add(
        { part: PART, name: `${what}: ${many.name} / ${few.name}`, unit: '×', goal: GOALS.flat },
        'berth',
        value / base,
      )
    }
  }
}

function add(bench: Bench, name: string, unit: string, value: number): void {
  bench.figures.add({ part: PART, name, unit }, 'berth', value)
}

async function measure(bench: Bench, server: Server): Promise<Costs> {
  const costs: Costs = new Map()
  const lists: [string, string][] = [
    ['_catalog, a page of 10', '/v2/_catalog?n=10'],
    ['tags/list, a page of 50', `/v2/${LARGEST}/tags/list?n=50`],
    ['20 referrers', `/v2/${LARGEST}/referrers/${SUBJECT}`],
    ['a manifest by tag', `/v2/${LARGEST}/manifests/t2`],
  ]
  for (const [what, path] of lists) {
    // The first second warms up.
    await costOf(bench, server, path)
    costs.set(what, ['server CPU µs', await costOf(bench, server, path)])
  }
  await settle(server)
  costs.set('push of a small image', ['p50 ms', await pushes(server, 'pushed')])
  // The first request loads the code of the API.
  const statuses: number[] = []
  for (let index = 0; index <= 10; index++) statuses.push(await timed(() => askBerth(server, '/gc')))
  costs.set('gc status', ['p50 ms', percentile(statuses.slice(1), 0.5)])
  for (const [what, seconds] of await cycles(server)) costs.set(what, ['server CPU ms', seconds * 1000])
  const [same, all] = [await dryRuns(server, [SAME.name], 20), await dryRuns(server, undefined, 3)]
  costs.set(`a dry run of retention that looks at ${SAME.tags} tags`, ['ms', same.ms])
  costs.set('a dry run of retention that looks at all of them, for each tag', ['µs', (all.ms * 1000) / all.tags])
  await underQuota(server, costs)
  return costs
}

/** Median of dry runs of a rule that takes few of the tags of the repositories, and how many tags they have. */
async function dryRuns(
  server: Server,
  repositories: string[] | undefined,
  times: number,
): Promise<{ ms: number; tags: number }> {
  const taken: number[] = []
  let tags = 0
  for (let run = 0; run <= times; run++) {
    let text = ''
    const wish = { repositories, rule: { tags: ['t100', 'nightly-*'], olderthan: '1d', action: 'delete' } }
    const ms = await timed(async () => {
      text = await textOfBerth(server, '/retention/plan', wish)
    })
    const total = JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as { tags: number; kept: number }
    tags = total.tags + total.kept
    // The first one loads the code, and the pages.
    if (run > 0) taken.push(ms)
  }
  return { ms: percentile(taken, 0.5), tags }
}

/** What a quota over everything costs those who push; what is there is counted first. */
async function underQuota(server: Server, costs: Costs): Promise<void> {
  const began = performance.now()
  await textOfBerth(server, '/quotas', { prefix: '*', bytes: 1e15, tags: 1e9, repositories: 1e9 }, 'PUT')
  for (;;) {
    const { quotas } = await askBerth<{ quotas: { state: string }[] }>(server, '/quotas')
    if (quotas.every(({ state }) => state === 'exact')) break
    await Bun.sleep(100)
  }
  costs.set('counting for a new quota', ['s', (performance.now() - began) / 1000])
  const { host, port } = server.target
  const starts: number[] = []
  for (let index = 0; index < PUSHES; index++) {
    const begin = () => fetch(`http://${host}:${port}/v2/${LARGEST}/blobs/uploads/`, { method: 'POST' })
    starts.push(
      await timed(async () => {
        const { status } = await begin()
        if (status !== 202) throw new Error(`an upload is not begun: ${status}`)
      }),
    )
  }
  costs.set('start of an upload under a quota', ['p50 ms', percentile(starts, 0.5)])
  costs.set('push of a small image under a quota', ['p50 ms', await pushes(server, 'under-quota')])
}

/** Microseconds of the server's CPU for one request. */
async function costOf(bench: Bench, server: Server, path: string): Promise<number> {
  const before = server.cpuSeconds()
  const { requests } = await hammer(bench.workplace, { target: server.target, path, connections: 4, seconds: 1 })
  return ((server.cpuSeconds() - before) * 1e6) / requests
}

async function pushes({ target }: Server, label: string): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < PUSHES; index++) {
    const image = makeImage({ layers: [1024], seed: `${label} ${index}` })
    const url = `http://${target.host}:${target.port}`
    times.push(await timed(() => pushImage(url, LARGEST, image, { tag: `${label}-${index}` })))
  }
  return percentile(times, 0.5)
}

/** CPU seconds of a cycle with garbage, and of one that finds none. */
async function cycles(server: Server): Promise<[string, number][]> {
  const cycle = async () => {
    const before = server.cpuSeconds()
    await startCollection(server)
    const { unlinked } = await collectionEnded(server)
    return { seconds: server.cpuSeconds() - before, unlinked: unlinked.count }
  }
  const first = await cycle()
  if (first.unlinked !== GARBAGE) throw new Error(`${first.unlinked} of ${GARBAGE} blobs were collected`)
  const second = await cycle()
  return [
    [`a cycle with ${GARBAGE} blobs of garbage`, first.seconds],
    // Hundredths of a second are all that the system counts.
    ['a cycle without garbage (and 10)', second.seconds + 0.01],
  ]
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
