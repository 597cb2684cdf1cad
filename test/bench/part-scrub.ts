import { askBerth, textOfBerth } from './berth-api.ts'
import { addBystanders, bystanders, type Seen } from './bystanders.ts'
import { runLoad } from './generator.ts'
import { type Bench, pushOne, settle, withServer } from './part.ts'
import type { Server } from './servers.ts'

const PART = 'While blobs are hashed again'
const MEBIBYTE = 1024 ** 2
/** The rates of the configuration: what the scrub does by itself, and what a verification does that somebody asks for. */
const RATES = [
  ['at the rate of the scrub', 10 * MEBIBYTE],
  ['at that of berth verify --deep', 50 * MEBIBYTE],
] as const
/** MiB of each blob that is there to be hashed. */
const LARGE = 64

/**
 * What others see of it: one server, at the same rate of requests, while its blobs are hashed again and while they are not, in turns. A
 * deep verification hashes as the scrub does, which would not begin before ten minutes have gone. Only Berth: the peer never does.
 */
export async function scrub(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const seconds = bench.quick ? 3 : 6
  const turns = 2 * bench.rounds
  const start = { name: 'berth', medium: 'disk', access: 'plain', config: { gc: { enabled: false } } } as const
  await withServer(bench, start, async (server) => {
    bench.progress('pushing what is hashed')
    await pushOne(bench, server.target, 1)
    // A turn is twice the seconds, and what begins and ends it.
    const blobs = Math.ceil((50 * (2 * seconds + 3)) / LARGE)
    await runLoad(bench.workplace, {
      ...{ kind: 'push', target: server.target, connections: 1, repository: 'bench/hashed', label: 'hashed' },
      ...{ blobMebibytes: LARGE, each: blobs },
    })
    for (const [words, rate] of RATES) {
      const seen: Record<'without' | 'during', Seen[]> = { without: [], during: [] }
      for (let turn = 0; turn < turns; turn++) {
        bench.progress(`${words}: turn ${turn + 1} of ${turns}`)
        await settle(server)
        const label = (text: string) => `${rate}-${turn}-${text}`
        const without = async () => seen.without.push(await bystanders(bench, server, seconds, label('without')))
        if (turn % 2 === 0) await without()
        seen.during.push(await whileHashing(bench, server, seconds, { rate, words, label: label('with') }))
        if (turn % 2 === 1) await without()
      }
      addBystanders(bench, `${PART}, ${words}`, { without: 'without that', during: 'meanwhile' }, seen)
    }
  })
}

interface Latest {
  run: { state: string; progress: { step: string; bytes: number } }
}

async function whileHashing(
  bench: Bench,
  server: Server,
  seconds: number,
  { rate, words, label }: { rate: number; words: string; label: string },
): Promise<Seen> {
  await askBerth(server, '/verify/runs', { deep: true, rate })
  const latest = async () => (await askBerth<Latest>(server, '/verify/runs/latest')).run
  while ((await latest()).progress.bytes === 0) await Bun.sleep(20)
  const began = performance.now()
  const { bytes } = (await latest()).progress
  const seen = await bystanders(bench, server, seconds, label)
  const { state, progress } = await latest()
  if (state !== 'running') throw new Error('all was hashed before the measurement ended')
  const hashed = (progress.bytes - bytes) / MEBIBYTE / ((performance.now() - began) / 1000)
  bench.figures.add({ part: `${PART}, ${words}`, name: 'hashed meanwhile', unit: 'MiB/s' }, 'berth', hashed)
  await textOfBerth(server, '/verify/runs/latest', {}, 'DELETE')
  while ((await latest()).state === 'running') await Bun.sleep(20)
  return seen
}
