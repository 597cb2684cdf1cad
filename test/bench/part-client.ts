import { join } from 'node:path'
import { runLoad } from './generator.ts'
import type { Bench } from './part.ts'
import { figureText } from './table.ts'
import { hammer, hasWrk } from './wrk.ts'

const RUNNER = join(import.meta.dir, '../../bin/run-bun')

/** What the clients themselves reach, against a server that does nothing: figures near these say little of a server. */
export async function client(bench: Bench): Promise<void> {
  bench.progress('its own limits')
  const child = Bun.spawn([RUNNER, join(import.meta.dir, 'canned-server.ts')], { stdin: 'pipe', stdout: 'pipe' })
  bench.workplace.own(child)
  try {
    const reader = child.stdout.getReader()
    const { value } = await reader.read()
    const port = Number(new TextDecoder().decode(value).trim())
    const target = { host: '127.0.0.1', port, tls: false }
    const rate = await hammer(bench.workplace, { target, path: '/', connections: 32, seconds: 2 })
    const trickle = await runLoad(bench.workplace, {
      ...{ kind: 'paced', target, connections: 16, path: '/', perSecond: 150, seconds: 2 },
    })
    bench.figures.note(
      `The client's own limits, against a server that does nothing: ${hasWrk ? 'wrk' : 'the own client'} ` +
        `${figureText(rate.requestsPerSecond)} requests/s at p99 ${figureText(rate.p99)} ms with 32 connections; ` +
        `the trickle of 150 requests/s p50 ${figureText(trickle.latency?.p50)} ms, p99 ${figureText(trickle.latency?.p99)} ms.`,
    )
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}
