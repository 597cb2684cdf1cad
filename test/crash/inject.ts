import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment, program } from '../programs.ts'

/** Faults of the disk in a server that runs. */
export interface Injected {
  /** The disk is well again. Answers the calls on these paths in between, one a line, `(INJECTED)` behind those that failed. */
  remove(): Promise<string[]>
}

/** Milliseconds; only to end a test that would wait for ever. */
const PATIENCE = 90_000
const POLL = 10

/**
 * From now on these system calls on these paths fail in the process, in all of its threads (strace). Some paths need not be
 * there yet. `seen`: calls that are only written down. `when`: which of a thread's calls fail, as strace has it (`1`: the first).
 */
export async function inject(
  pid: number,
  fault: { calls: readonly string[]; error: string; paths: readonly string[]; seen?: readonly string[]; when?: string },
): Promise<Injected> {
  const { calls, error, paths, seen = [], when } = fault
  const folder = mkdtempSync(join(tmpdir(), 'berth-inject-'))
  const log = join(folder, 'strace.log')
  const named = (names: readonly string[]) => names.map((name) => `?${name}`).join(',')
  const child = Bun.spawn(
    [
      ...[program('strace'), '-f', '-y', '-p', String(pid), '-o', log, ...paths.flatMap((path) => ['-P', path])],
      ...['-e', `trace=${named([...calls, ...seen])}`],
      ...['-e', `inject=${named(calls)}:error=${error}${when === undefined ? '' : `:when=${when}`}`],
    ],
    { env: cleanEnvironment(), stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  )
  let said = ''
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) said += decoder.decode(chunk, { stream: true })
  })()
  for (let waited = 0; !/Process \d+ attached/.test(said); waited += POLL) {
    if (waited > PATIENCE || child.exitCode !== null) throw new Error(`strace does not attach: ${said}`)
    await Bun.sleep(POLL)
  }
  return {
    async remove() {
      child.kill('SIGINT')
      await child.exited
      await reading
      const lines = readFileSync(log, 'utf8').split('\n')
      rmSync(folder, { recursive: true })
      return lines.filter((line) => /\(/.test(line) && !/ --- /.test(line))
    },
  }
}
