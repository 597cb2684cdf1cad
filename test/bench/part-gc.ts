import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { latestCollection, startCollection } from './berth-api.ts'
import { prepareLoad } from './generator.ts'
import { percentile } from './load-spec.ts'
import { type Bench, pushOne, REPOSITORY, SMALL_MANIFEST, settle, withServer } from './part.ts'
import { writeRows } from './registry-rows.ts'
import type { Server } from './servers.ts'

const PART = 'While garbage is collected'
const TRICKLE = { connections: 16, perSecond: 150 }
const LAYER = 1024 * 1024
/** Small ones, so that the collector has most to do; each is a file. */
const GARBAGE_BYTES = 4096

const WORK = [
  ['manifests', 'manifest GETs'],
  ['pushes', 'pushes of 1 MiB'],
] as const

/** Milliseconds. */
type Latencies = Record<(typeof WORK)[number][0], { p50: number; p99: number }>

/**
 * What others see of a collection: the same server with the same garbage before it is told to collect, and while it does. Only
 * Berth: the peer collects while it serves nobody.
 */
export async function gc(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const seconds = bench.quick ? 3 : 5
  for (let round = 1; round <= bench.rounds; round++) {
    bench.progress(`round ${round} of ${bench.rounds}: making garbage`)
    const folder = bench.workplace.folder('disk', 'gc')
    await writeRows(join(folder, 'data'), {
      ...{ blobs: bench.quick ? 10_000 : 100_000, repositories: 100, garbageBytes: GARBAGE_BYTES },
      garbage: bench.quick ? 30_000 : 60_000,
    })
    // Only told to: so it does not begin before the first measurement.
    const start = {
      name: 'berth',
      medium: 'disk',
      access: 'plain',
      folder,
      config: { gc: { enabled: false } },
    } as const
    await withServer(bench, start, async (server) => {
      await pushOne(bench, server.target, 1)
      await settle(server)
      bench.progress(`round ${round} of ${bench.rounds}: without a collection`)
      const without = await latencies(bench, server, seconds, `${round}-without`)
      await settle(server)
      bench.progress(`round ${round} of ${bench.rounds}: while one runs`)
      await startCollection(server)
      const during = await latencies(bench, server, seconds, `${round}-with`)
      const { state, unlinked } = await latestCollection(server)
      if (state !== 'running') throw new Error('the collection ended before the measurement did')
      bench.figures.add(
        { part: PART, name: 'files unlinked meanwhile', unit: '1/s' },
        'berth',
        unlinked.count / (2 * seconds),
      )
      for (const [what, name] of WORK) {
        const add = (text: string, { p50, p99 }: { p50: number; p99: number }) => {
          bench.figures.add({ part: PART, name: `${name} ${text}`, unit: 'p50 ms' }, 'berth', p50)
          bench.figures.add({ part: PART, name: `${name} ${text}`, unit: 'p99 ms' }, 'berth', p99)
        }
        add('without a collection', without[what])
        add('while one runs', during[what])
        const metric = { part: PART, name: `${name}: while one runs / without`, unit: '× p99' }
        bench.figures.add(metric, 'berth', during[what].p99 / without[what].p99)
      }
    })
  }
}

/** Milliseconds: of a steady trickle of GETs, then of pushes one after the other, for as many seconds each. */
async function latencies(bench: Bench, server: Server, seconds: number, label: string): Promise<Latencies> {
  const { target } = server
  const trickle = await prepareLoad(bench.workplace, {
    kind: 'paced',
    target,
    ...TRICKLE,
    path: SMALL_MANIFEST,
    seconds,
  })
  const { latency: manifests } = await trickle.go()
  if (manifests === undefined) throw new Error('nothing was asked')
  const pushes: number[] = []
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    const image = makeImage({ layers: [LAYER], seed: `${label} ${pushes.length}` })
    const began = performance.now()
    await pushImage(`http://${target.host}:${target.port}`, REPOSITORY, image, { tag: `${label}-${pushes.length}` })
    pushes.push(performance.now() - began)
  }
  return { manifests, pushes: { p50: percentile(pushes, 0.5), p99: percentile(pushes, 0.99) } }
}
