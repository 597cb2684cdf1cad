import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { collectionEnded, latestCollection, startCollection } from './berth-api.ts'
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

/** Pushes a second: fewer than one connection could make, so that each begins when it is due, whatever the one before took. */
const PUSHES = 4

/** Milliseconds, of each request. */
type Latencies = Record<(typeof WORK)[number][0], { p50: number; p99: number }>

/**
 * What others see of a collection: one server, at the same rate of requests, while it collects and while it does not, in short turns,
 * for what else a machine does changes from minute to minute. Only Berth: the peer collects while it serves nobody.
 */
export async function gc(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const seconds = bench.quick ? 3 : 6
  const turns = 2 * bench.rounds
  bench.progress('making garbage')
  const folder = bench.workplace.folder('disk', 'gc')
  const garbage = turns * seconds * GARBAGE_A_SECOND
  const later = seconds * PERIOD
  const begin = Date.now() + garbage * TO_MAKE
  await writeRows(join(folder, 'data'), {
    ...{ blobs: bench.quick ? 10_000 : 100_000, repositories: 100, garbage, garbageBytes: GARBAGE_BYTES },
    // A portion becomes due for each turn.
    waiting: { since: begin - DELAY, later, portions: turns },
  })
  const start = {
    name: 'berth',
    medium: 'disk',
    access: 'plain',
    folder,
    // Only told to: so it does not begin before the first measurement.
    config: { gc: { enabled: false, delay: `${DELAY}ms` } },
  } as const
  await withServer(bench, start, async (server) => {
    await pushOne(bench, server.target, 1)
    for (let turn = 0; turn < turns; turn++) {
      await Bun.sleep(Math.max(0, begin + turn * later - Date.now()))
      await settle(server)
      bench.progress(`turn ${turn + 1} of ${turns}`)
      const label = (text: string) => `${turn}-${text}`
      const without = async () => await latencies(bench, server, seconds, label('without'))
      // What the first of the two leaves to the second (caches, what the disk has to write still) is there on both sides.
      const first = turn % 2 === 0 ? await without() : undefined
      const during = await whileCollecting(bench, server, seconds, label('with'))
      addFigures(bench, first ?? (await without()), during)
    }
  })
}

function addFigures(bench: Bench, without: Latencies, during: Latencies): void {
  for (const [what, name] of WORK) {
    const add = (text: string, unit: string, value: number) =>
      bench.figures.add({ part: PART, name: `${name}${text}`, unit }, 'berth', value)
    for (const rank of ['p50', 'p99'] as const) {
      add(' without a collection', `${rank} ms`, without[what][rank])
      add(' while one runs', `${rank} ms`, during[what][rank])
      add(': while one runs / without', `× ${rank}`, during[what][rank] / without[what][rank])
    }
  }
}

async function whileCollecting(bench: Bench, server: Server, seconds: number, label: string): Promise<Latencies> {
  const add = (name: string, count: number, ms: number) =>
    bench.figures.add({ part: PART, name, unit: '1/s' }, 'berth', (count * 1000) / ms)
  await startCollection(server)
  let began = performance.now()
  const measured = await latencies(bench, server, seconds, label)
  const { state, unlinked } = await latestCollection(server)
  if (state !== 'running') throw new Error('the collection ended before the measurement did')
  add('files unlinked while clients are served', unlinked.count, performance.now() - began)
  await Bun.sleep(QUIET)
  const { count } = (await latestCollection(server)).unlinked
  began = performance.now()
  const whole = await collectionEnded(server)
  add('files unlinked while nobody asks for anything', whole.unlinked.count - count, performance.now() - began)
  return measured
}

/** Garbage for each second of a measurement: more than is collected meanwhile. */
const GARBAGE_A_SECOND = 1500
/** Milliseconds to make a piece of garbage, at most. */
const TO_MAKE = 1
/** Milliseconds from the beginning of one turn to that of the next, for each second of a measurement. */
const PERIOD = 9000
/** Milliseconds that garbage waits. */
const DELAY = 3_600_000
/** Milliseconds after which the collector takes it that nobody is served. */
const QUIET = 1500

/** Of a steady trickle of GETs, then of as steady pushes, for as many seconds each. */
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
  const images = Array.from({ length: seconds * PUSHES }, (_, index) =>
    makeImage({ layers: [LAYER], seed: `${label} ${index}` }),
  )
  const pushes: number[] = []
  const began = performance.now()
  for (const [index, image] of images.entries()) {
    const due = began + (index * 1000) / PUSHES
    await Bun.sleep(Math.max(0, due - performance.now()))
    await pushImage(`http://${target.host}:${target.port}`, REPOSITORY, image, { tag: `${label}-${index}` })
    pushes.push(performance.now() - due)
  }
  return { manifests, pushes: { p50: percentile(pushes, 0.5), p99: percentile(pushes, 0.99) } }
}
