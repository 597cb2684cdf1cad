import { writeFileSync } from 'node:fs'
import { runLoad } from './generator.ts'
import { type Bench, blobPath, GIBIBYTE, pushOne, REPOSITORY, withServer } from './part.ts'
import type { Server } from './servers.ts'

const PART = 'Peak memory'
const UPLOADS = 20
const DOWNLOADS = 200
const MEBIBYTE = 1024 ** 2

/** The most memory that a server holds while many large uploads run, and while many slow clients download. */
export async function memory(bench: Bench): Promise<void> {
  const { workplace, figures } = bench
  const blobMebibytes = bench.quick ? 256 : 1024
  const needed = UPLOADS * blobMebibytes * MEBIBYTE + 5 * GIBIBYTE
  const hasRoom = workplace.free('disk') >= needed
  if (!hasRoom) figures.note(`No ${UPLOADS} uploads of ${blobMebibytes} MiB: the disk has too little room.`)
  for (const name of bench.servers) {
    const start = { name, medium: 'disk', access: 'plain' } as const
    try {
      if (hasRoom) {
        bench.progress(`${UPLOADS} uploads of ${blobMebibytes} MiB, ${name}`)
        await withServer(bench, start, async (server) => await upload(bench, server, blobMebibytes))
      }
      bench.progress(`${DOWNLOADS} slow downloads, ${name}`)
      await withServer(bench, start, async (server) => await download(bench, server))
    } catch (cause) {
      bench.fail(`memory, ${name}`, cause)
    }
  }
}

async function upload(bench: Bench, { name, target, peakMebibytes }: Server, blobMebibytes: number): Promise<void> {
  await runLoad(bench.workplace, {
    ...{ kind: 'push', target, connections: UPLOADS, repository: REPOSITORY, label: 'm', blobMebibytes, each: 1 },
  })
  const what = `${UPLOADS} uploads of ${blobMebibytes} MiB at a time`
  bench.figures.add({ part: PART, name: what, unit: 'MiB' }, name, peakMebibytes())
}

async function download(bench: Bench, { name, target, pid, peakMebibytes }: Server): Promise<void> {
  const path = blobPath(await pushOne(bench, target, 256))
  resetPeak(pid)
  const { bytes, seconds } = await runLoad(bench.workplace, {
    ...{ kind: 'slow-pull', target, connections: DOWNLOADS, path, seconds: bench.quick ? 8 : 20 },
    bytesPerSecond: MEBIBYTE,
  })
  const what = `${DOWNLOADS} downloads at 1 MiB/s`
  bench.figures.add({ part: PART, name: what, unit: 'MiB' }, name, peakMebibytes())
  const rate = bytes / MEBIBYTE / DOWNLOADS / seconds
  bench.figures.add({ part: PART, name: `${what}: what each got`, unit: 'MiB/s' }, name, rate)
}

/** proc_pid_clear_refs(5): 5 sets the peak back to what the process holds now. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}
