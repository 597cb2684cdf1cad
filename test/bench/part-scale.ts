import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { askBerth, collectionEnded, startCollection, textOfBerth } from './berth-api.ts'
import type { Goal } from './figures.ts'
import { GOALS } from './goals.ts'
import { percentile } from './load-spec.ts'
import { type Bench, settle, withServer } from './part.ts'
import { LARGEST, type Rows, SAME, SUBJECT, writeRows } from './registry-rows.ts'
import type { Server } from './servers.ts'
import { hammer } from './wrk.ts'

const PART = 'Scale'
const PUSHES = 40
const GARBAGE = 2000

/**
 * How a cost may grow: not at all; with what there is (it is told, and has no goal); or, of pages that are read, by so many, which is
 * what deeper indexes and leaves that no memory holds come to. `filling`: caches that have a bound are empty among few things and full
 * among many, so that it grows by no more than they are large, and not any more once they are full.
 */
type Growth = 'flat' | 'linear' | 'filling' | Goal

interface Size {
  name: string
  rows: Rows
}

interface Cost {
  unit: string
  value: number
  growth: Growth
}

/** By what was done. */
type Costs = Map<string, Cost>

/**
 * What registries of a hundred thousand and of a million blobs cost beside one of a thousand: in a process and a database of its own each. The rows are made
 * directly, and the files of blobs are not there. Only Berth: the peer has no database.
 */
export async function scale(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const few: Size = { name: '1,000 blobs', rows: { blobs: 1000, repositories: 10, garbage: GARBAGE, garbageBytes: 0 } }
  const more: Size = { name: '100,000 blobs', rows: { ...few.rows, blobs: 100_000, repositories: 100 } }
  const many: Size = { name: '1,000,000 blobs', rows: { ...few.rows, blobs: 1_000_000, repositories: 1000 } }
  const sizes = bench.quick ? [few, more] : [few, more, many]
  const medium = bench.workplace.media.includes('memory') ? 'memory' : 'disk'
  for (let round = 1; round <= bench.rounds; round++) {
    let base: Costs | undefined
    let before: { name: string; costs: Costs } | undefined
    for (const { name, rows } of sizes) {
      bench.progress(`round ${round} of ${bench.rounds}: making ${name}`)
      const folder = bench.workplace.folder(medium, 'scale')
      const began = performance.now()
      await writeRows(join(folder, 'data'), rows)
      const made = performance.now() - began
      bench.progress(`round ${round} of ${bench.rounds}: ${name}`)
      // What happens by itself would happen beside what is measured: the first look at every image, a minute after the start, too.
      const config = { gc: { enabled: false }, retention: { enabled: false } }
      const start = { name: 'berth', medium, access: 'plain', folder, config } as const
      // What the making of the rows leaves to the machine is not a start's.
      await withServer(bench, { ...start, keepData: true }, async () => {})
      await withServer(bench, start, async (server) => {
        const costs = await measure(bench, server)
        costs.set('making the rows', { unit: 's', value: made / 1000, growth: 'linear' })
        costs.set('start', { unit: 'ms', value: server.startedAfterMs, growth: 'flat' })
        costs.set('peak memory', { unit: 'MiB', value: server.peakMebibytes(), growth: 'filling' })
        for (const [what, { unit, value }] of costs) {
          bench.figures.add({ part: PART, name: `${what}: ${name}`, unit }, 'berth', value)
        }
        if (base === undefined) base = costs
        else compare(bench, few.name, base, name, costs)
        if (before !== undefined && before.costs !== base) compareFilled(bench, before, name, costs)
        before = { name, costs }
      })
    }
  }
}

function compare(bench: Bench, few: string, base: Costs, many: string, costs: Costs): void {
  for (const [what, { unit, value, growth }] of costs) {
    const before = base.get(what)?.value
    if (before === undefined || growth === 'linear') continue
    const name = `${what}: ${many}`
    const figure =
      growth === 'flat'
        ? { name: `${name} / ${few}`, unit: '×', goal: GOALS.flat }
        : { name: `${name}, more than ${few}`, unit, goal: growth === 'filling' ? GOALS.caches : growth }
    bench.figures.add({ part: PART, ...figure }, 'berth', growth === 'flat' ? value / before : value - before)
  }
}

/** Among both, what fills is full. */
function compareFilled(bench: Bench, before: { name: string; costs: Costs }, many: string, costs: Costs): void {
  for (const [what, { value, growth }] of costs) {
    const earlier = before.costs.get(what)?.value
    if (growth !== 'filling' || earlier === undefined) continue
    const name = `${what}: ${many} / ${before.name}`
    bench.figures.add({ part: PART, name, unit: '×', goal: GOALS.flat }, 'berth', value / earlier)
  }
}

async function measure(bench: Bench, server: Server): Promise<Costs> {
  const costs: Costs = new Map()
  const flat = (what: string, unit: string, value: number) => costs.set(what, { unit, value, growth: 'flat' })
  const reads = (what: string, value: number, growth: Goal) =>
    costs.set(`${what}, pages read`, { unit: 'reads', value, growth })
  costs.set('reading all of the database', {
    unit: 'server CPU ms',
    value: await lookedAtAll(server),
    growth: 'linear',
  })
  const lists: [string, string][] = [
    ['_catalog, a page of 10', '/v2/_catalog?n=10'],
    ['tags/list, a page of 50', `/v2/${LARGEST}/tags/list?n=50`],
    ['20 referrers', `/v2/${LARGEST}/referrers/${SUBJECT}`],
    ['a manifest by tag', `/v2/${LARGEST}/manifests/t2`],
  ]
  for (const [what, path] of lists) {
    // The first second warms up.
    await costOf(bench, server, path)
    flat(what, 'server CPU µs', await costOf(bench, server, path))
  }
  await settle(server)
  const push = await pushes(server, 'pushed')
  flat('push of a small image', 'p50 ms', push.ms)
  reads('push of a small image', push.reads, GOALS.moreReadsOfPush)
  flat('start of an upload', 'p50 ms', await starts(server))
  // The first request loads the code of the API.
  await askBerth(server, '/gc')
  const statuses: number[] = []
  const before = server.readCalls()
  for (let index = 0; index < STATUSES; index++) statuses.push(await timed(() => askBerth(server, '/gc')))
  const each = (server.readCalls() - before) / STATUSES / GARBAGE
  // As long as what waits, of which each has pages of its own.
  costs.set('gc status', { unit: 'p50 ms', value: percentile(statuses, 0.5), growth: 'linear' })
  reads('gc status, for each blob of garbage', each, GOALS.moreReads)
  const first = await cycle(server)
  if (first.unlinked !== GARBAGE) throw new Error(`${first.unlinked} of ${GARBAGE} blobs were collected`)
  flat(`a cycle with ${GARBAGE} blobs of garbage`, 'server CPU ms', first.cpuMs)
  reads('a cycle, for each blob of garbage', first.reads / GARBAGE, GOALS.moreReads)
  // What the one before left to the log of the database is done.
  await Bun.sleep(SETTLED)
  const second = await cycle(server)
  // Hundredths of a second are all that the system counts.
  flat('a cycle without garbage (and 10)', 'server CPU ms', second.cpuMs + 10)
  reads('a cycle without garbage', second.reads, GOALS.moreReads)
  const [same, all] = [await dryRuns(server, [SAME.name], 20), await dryRuns(server, undefined, 3)]
  flat(`a dry run of retention that looks at ${SAME.tags} tags`, 'ms', same.ms)
  flat('a dry run of retention that looks at all of them, for each tag', 'µs', (all.ms * 1000) / all.tags)
  await underQuota(server, costs)
  return costs
}

const STATUSES = 10
/** Milliseconds after which work that a request left behind is done. */
const SETTLED = 2000
/** Milliseconds after its start at which Berth reads all of its database, in a thread of its own, and for which that lasts at least. */
const LOOKS_AFTER = 12_000

/** CPU of the look at the whole database: it comes by itself, and is no part of anything else that is measured. */
async function lookedAtAll(server: Server): Promise<number> {
  const before = server.cpuSeconds()
  await Bun.sleep(LOOKS_AFTER)
  for (let reads = server.readCalls(); ; ) {
    await Bun.sleep(1000)
    const now = server.readCalls()
    if (now - reads < QUIET_READS) return (server.cpuSeconds() - before) * 1000
    reads = now
  }
}

/** Reads in a second of a server that does nothing, at most. */
const QUIET_READS = 50

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
  costs.set('counting for a new quota', {
    unit: 's',
    value: (performance.now() - began) / 1000,
    growth: 'linear',
  })
  await settle(server)
  await Bun.sleep(SETTLED)
  costs.set('start of an upload under a quota', { unit: 'p50 ms', value: await starts(server), growth: 'flat' })
  const push = await pushes(server, 'under-quota')
  costs.set('push of a small image under a quota', { unit: 'p50 ms', value: push.ms, growth: 'flat' })
  const reads = { unit: 'reads', value: push.reads, growth: GOALS.moreReadsOfPush }
  costs.set('push of a small image under a quota, pages read', reads)
}

/** Median. */
async function starts({ target: { host, port } }: Server): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < PUSHES; index++) {
    times.push(
      await timed(async () => {
        const { status } = await fetch(`http://${host}:${port}/v2/${LARGEST}/blobs/uploads/`, { method: 'POST' })
        if (status !== 202) throw new Error(`an upload is not begun: ${status}`)
      }),
    )
  }
  return percentile(times, 0.5)
}

/** Microseconds of the server's CPU for one request. */
async function costOf(bench: Bench, server: Server, path: string): Promise<number> {
  const before = server.cpuSeconds()
  const { requests } = await hammer(bench.workplace, { target: server.target, path, connections: 4, seconds: 1 })
  return ((server.cpuSeconds() - before) * 1e6) / requests
}

/** Median of the time, and the reads of each. */
async function pushes(server: Server, label: string): Promise<{ ms: number; reads: number }> {
  const { host, port } = server.target
  const times: number[] = []
  const before = server.readCalls()
  for (let index = 0; index < PUSHES; index++) {
    const image = makeImage({ layers: [1024], seed: `${label} ${index}` })
    times.push(await timed(() => pushImage(`http://${host}:${port}`, LARGEST, image, { tag: `${label}-${index}` })))
  }
  return { ms: percentile(times, 0.5), reads: (server.readCalls() - before) / PUSHES }
}

async function cycle(server: Server): Promise<{ cpuMs: number; reads: number; unlinked: number }> {
  const [cpu, reads] = [server.cpuSeconds(), server.readCalls()]
  await startCollection(server)
  const { unlinked } = await collectionEnded(server)
  return {
    cpuMs: (server.cpuSeconds() - cpu) * 1000,
    reads: server.readCalls() - reads,
    unlinked: unlinked.count,
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
