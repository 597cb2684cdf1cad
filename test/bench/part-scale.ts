import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { askBerth, collectionEnded, startCollection } from './berth-api.ts'
import { GOALS } from './goals.ts'
import { percentile } from './load-spec.ts'
import { type Bench, settle, withServer } from './part.ts'
import { LARGEST, type Rows, SUBJECT, writeRows } from './registry-rows.ts'
import type { Server } from './servers.ts'
import { hammer } from './wrk.ts'

const PART = 'Scale'
const PUSHES = 40
const GARBAGE = 2000

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
      if (base === undefined || what === 'making the rows') continue
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
  costs.set('push of a small image', ['p50 ms', await pushes(server)])
  // The first request loads the code of the API.
  await askBerth(server, '/gc')
  costs.set('gc status', ['ms', await timed(() => askBerth(server, '/gc'))])
  for (const [what, seconds] of await cycles(server)) costs.set(what, ['server CPU ms', seconds * 1000])
  return costs
}

/** Microseconds of the server's CPU for one request. */
async function costOf(bench: Bench, server: Server, path: string): Promise<number> {
  const before = server.cpuSeconds()
  const { requests } = await hammer(bench.workplace, { target: server.target, path, connections: 4, seconds: 1 })
  return ((server.cpuSeconds() - before) * 1e6) / requests
}

async function pushes({ target }: Server): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < PUSHES; index++) {
    const image = makeImage({ layers: [1024], seed: `scale ${index}` })
    const url = `http://${target.host}:${target.port}`
    times.push(await timed(() => pushImage(url, LARGEST, image, { tag: `pushed-${index}` })))
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
