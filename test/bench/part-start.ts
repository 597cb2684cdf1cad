import { join } from 'node:path'
import { must } from '../programs.ts'
import type { Bench } from './part.ts'
import { startServer } from './servers.ts'

const PART = 'Start'
const TIMES = 10
const HOME = join(import.meta.dir, '../..')

/** From spawn to the first answer at `/v2/`, with an empty folder and with the one that this made. */
export async function start(bench: Bench): Promise<void> {
  // As an install leaves it; sources that changed since make it run from those.
  await must([join(HOME, 'bin/run-bun'), 'build/bundle.ts'])
  bench.progress(`${TIMES} times each`)
  const { workplace, credentials, figures } = bench
  for (let count = 0; count < TIMES; count++) {
    for (const name of bench.servers) {
      const options = { name, medium: 'disk', access: 'plain' } as const
      const first = await startServer(workplace, credentials, { ...options, keepData: true })
      await first.stop()
      const again = await startServer(workplace, credentials, { ...options, folder: first.folder })
      const idle = again.peakMebibytes()
      await again.stop()
      figures.add({ part: PART, name: 'first start, empty folder', unit: 'ms' }, name, first.startedAfterMs)
      figures.add({ part: PART, name: 'start again', unit: 'ms' }, name, again.startedAfterMs)
      figures.add({ part: PART, name: 'peak memory after the first answer', unit: 'MiB' }, name, idle)
    }
  }
}
