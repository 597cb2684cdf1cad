import { join } from 'node:path'
import { collectionEnded, latestCollection, startCollection } from './berth-api.ts'
import { addBystanders, bystanders, type Seen } from './bystanders.ts'
import { type Bench, pushOne, settle, withServer } from './part.ts'
import { writeRows } from './registry-rows.ts'
import type { Server } from './servers.ts'

const PART = 'While garbage is collected'
/** Small ones, so that the collector has most to do; each is a file. */
const GARBAGE_BYTES = 4096

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
  const seen: Record<'without' | 'during', Seen[]> = { without: [], during: [] }
  await withServer(bench, start, async (server) => {
    await pushOne(bench, server.target, 1)
    for (let turn = 0; turn < turns; turn++) {
      await Bun.sleep(Math.max(0, begin + turn * later - Date.now()))
      await settle(server)
      bench.progress(`turn ${turn + 1} of ${turns}`)
      const label = (text: string) => `${turn}-${text}`
      const without = async () => seen.without.push(await bystanders(bench, server, seconds, label('without')))
      // What the first of the two leaves to the second (caches, what the disk has to write still) is there on both sides.
      if (turn % 2 === 0) await without()
      seen.during.push(await whileCollecting(bench, server, seconds, label('with')))
      if (turn % 2 === 1) await without()
    }
  })
  addBystanders(bench, PART, { without: 'without a collection', during: 'while one runs' }, seen)
}

async function whileCollecting(bench: Bench, server: Server, seconds: number, label: string): Promise<Seen> {
  const add = (name: string, count: number, ms: number) =>
    bench.figures.add({ part: PART, name, unit: '1/s' }, 'berth', (count * 1000) / ms)
  await startCollection(server)
  let began = performance.now()
  const measured = await bystanders(bench, server, seconds, label)
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
