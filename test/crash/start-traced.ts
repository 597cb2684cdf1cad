import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment, program } from '../programs.ts'
import { BERTH } from '../start-berth.ts'

/** A server whose every change of its disk, and every answer, is written down. */
export interface Traced {
  url: string
  /** SIGTERM; answers the log of strace once it is whole. */
  stop(): Promise<string>
  dispose(): Promise<void>
}

/** Everything that changes files, makes them safe, or answers a request. */
const CALLS = [
  ...['open', 'openat', 'creat', 'openat2', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'copy_file_range'],
  ...['fsync', 'fdatasync', 'ftruncate', 'truncate', 'fallocate', 'io_uring_enter', 'sendto', 'sendmsg'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat'],
  ...['mkdir', 'mkdirat', 'rmdir', 'unlink', 'unlinkat'],
]
/** Bytes of a string that strace writes out: more than a batch of an upload has. */
const LONGEST_STRING = 4 * 1024 * 1024
/** Milliseconds; both only end what hangs. */
const READY_TIMEOUT = 90_000
const STOP_TIMEOUT = 90_000
const POLL = 20

/**
 * Starts `berth serve` under strace, with its data in `dataDirectory`. `folder` takes the log, in which are those calls that
 * change files, make them safe, or answer a request; `calls`: all of them.
 */
export async function startTraced(
  folder: string,
  dataDirectory: string,
  calls: 'some' | 'all' = 'some',
): Promise<Traced> {
  const log = join(folder, 'strace.log')
  // -D leaves the server itself as our child, so that signals reach it.
  const strace = [program('strace'), '-D', '-f', '-y', '-x', '-s', String(LONGEST_STRING), '--seccomp-bpf', '-o', log]
  const serve = [BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', dataDirectory]
  const traced = calls === 'all' ? 'all' : CALLS.map((name) => `?${name}`).join(',')
  const child = Bun.spawn([...strace, '-e', `trace=${traced}`, ...serve], {
    cwd: folder,
    env: cleanEnvironment({ REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const killIfForgotten = () => child.kill('SIGKILL')
  process.on('exit', killIfForgotten)
  let text = ''
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) text += decoder.decode(chunk, { stream: true })
  })()
  const dispose = async () => {
    child.kill('SIGKILL')
    await child.exited
    await reading
    process.off('exit', killIfForgotten)
  }

  const url = await poll(READY_TIMEOUT, () => /listening on (http:\S+)[^\n]*\n/.exec(text)?.[1])
  if (url === undefined) {
    await dispose()
    throw new Error(`not ready: ${text}`)
  }
  return {
    url,
    async stop() {
      child.kill('SIGTERM')
      // strace aligns its columns.
      const end = new RegExp(`(?:^|\\n)${child.pid} +\\+\\+\\+ exited with 0 \\+\\+\\+\\n$`)
      const whole = await poll(STOP_TIMEOUT, () => {
        if (child.exitCode === null) return undefined
        const lines = readFileSync(log, 'utf8')
        return end.test(lines.slice(-200)) ? lines : undefined
      })
      if (whole === undefined) throw new Error(`does not end well on SIGTERM, with ${child.exitCode}: ${text}`)
      return whole
    },
    dispose,
  }
}

async function poll<T>(timeout: number, look: () => T | undefined): Promise<T | undefined> {
  for (let attempt = 0; attempt < timeout / POLL; attempt++) {
    const found = look()
    if (found !== undefined) return found
    await Bun.sleep(POLL)
  }
  return undefined
}
