import { join } from 'node:path'
import type { LoadResult, LoadSpec } from './load-spec.ts'
import type { Workplace } from './workplace.ts'

export interface Load {
  /** Starts the work and answers what it did. @throws Error when anything in it failed. */
  go(): Promise<LoadResult>
}

const RUNNER = join(import.meta.dir, '../../bin/run-bun')
const LOAD = join(import.meta.dir, 'load.ts')
const LIMIT_MS = 10 * 60_000

/** Starts a load process and waits until it is ready (its buffers made, its digests known). */
export async function prepareLoad(workplace: Workplace, spec: LoadSpec): Promise<Load> {
  const child = Bun.spawn([RUNNER, LOAD], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  })
  workplace.own(child)
  const lines = linesOf(child.stdout)
  child.stdin.write(`${JSON.stringify(spec)}\n`)
  await child.stdin.flush()
  if ((await lines.next()).value !== 'ready') throw new Error(`the load process for ${spec.kind} did not start`)
  return {
    go: async () => {
      child.stdin.write('go\n')
      await child.stdin.flush()
      const { value } = await lines.next()
      await child.exited
      if (value === undefined) throw new Error(`the load process for ${spec.kind} ended without a result`)
      const result = JSON.parse(value) as LoadResult
      if (result.failures > 0) {
        throw new Error(`${spec.kind}: ${result.failures} failures, the first: ${result.firstFailure}`)
      }
      return result
    },
  }
}

export async function runLoad(workplace: Workplace, spec: LoadSpec): Promise<LoadResult> {
  const load = await prepareLoad(workplace, spec)
  return await load.go()
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
      yield text.slice(0, end)
      text = text.slice(end + 1)
    }
  }
  return undefined
}
