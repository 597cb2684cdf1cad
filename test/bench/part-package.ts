import { statSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../programs.ts'
import type { Bench } from './part.ts'
import { residentMebibytes } from './process-figures.ts'
import { peerProgram, type ServerName, startServer } from './servers.ts'

const PART = 'Package'
const TIMES = 10
/** Milliseconds after the first answer, in which a server does what it puts off at its start. */
const SETTLED = 3_000
const HOME = join(import.meta.dir, '../..')
const EXECUTABLE = join(HOME, 'dist/berth-linux-x64')

/** What one installs: the size of the file, its start with an empty folder, and what it holds when it has nothing to do. */
export async function packaged(bench: Bench): Promise<void> {
  const { workplace, credentials, figures } = bench
  await must([join(HOME, 'bin/run-bun'), 'build/executable.ts', 'linux-x64'], { cwd: HOME, timeoutMs: 180_000 })
  const programs: Record<ServerName, string> = { berth: EXECUTABLE, peer: peerProgram() }
  bench.progress(`${TIMES} times each`)
  for (let count = 0; count < TIMES; count++) {
    for (const name of bench.servers) {
      const options = { name, medium: 'disk', access: 'plain', program: programs[name] } as const
      const server = await startServer(workplace, credentials, options)
      await Bun.sleep(SETTLED)
      figures.add(
        { part: PART, name: 'start of the executable, empty folder', unit: 'ms' },
        name,
        server.startedAfterMs,
      )
      figures.add({ part: PART, name: 'memory when idle', unit: 'MiB' }, name, residentMebibytes(server.pid))
      await server.stop()
    }
  }
  for (const name of bench.servers) {
    figures.add(
      { part: PART, name: 'size of the executable', unit: 'MiB' },
      name,
      statSync(programs[name]).size / 2 ** 20,
    )
  }
}
