import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment } from './programs.ts'

/** The program under test: another one where the single-file executable is tried (`executable.test.ts`). */
export const BERTH = process.env.BERTH_TEST_PROGRAM ?? join(import.meta.dir, '../bin/berth')

/** Milliseconds; both only end what hangs, on however busy a machine. */
const READY_TIMEOUT_MS = 90_000
const STOP_TIMEOUT_MS = 60_000

export interface StartOptions {
  /** Another program than the `bin/berth` of this checkout. */
  program?: string
  /** The verb: `serve` unless told. */
  verb?: 'serve' | 'auth'
  /**
   * Appended to the command line. A free port and the data directory are added (`--addr 127.0.0.1:0 --data DIR`) unless
   * they stand here or in the environment (REGISTRY_HTTP_ADDR, REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY).
   */
  args?: readonly string[]
  /** Added to a clean environment: no REGISTRY_* or BERTH_* of the caller's gets through. */
  env?: Record<string, string>
  /** Text of a config.yml. */
  config?: string
  /** Text of an auth_config.yml: an option of `serve`, the operand of `auth`. */
  authConfig?: string
  /** A data directory to use again; it is then the caller's to remove. */
  dataDirectory?: string
  /** How many listeners to wait for. */
  listeners?: number
}

export interface Berth {
  /** `http://127.0.0.1:PORT` of the registry, without a slash (of the token server, for `auth`). */
  url: string
  port: number
  /** Same for the token server's own listener, where there is one. */
  tokenServerUrl: string | undefined
  dataDirectory: string
  pid: number
  /** Everything it wrote so far, stdout and stderr together. */
  log(): string
  /** SIGTERM; answers the exit code. @throws Error with the log when it does not end. */
  stop(): Promise<number>
  /** SIGKILL. The data directory stays until `dispose`. */
  kill(): Promise<void>
  /** Stops it if need be and removes what was made for it. */
  dispose(): Promise<void>
}

interface Listener {
  url: string
  port: number
  isTokenServer: boolean
}

/** A whole line: what was read of it so far may end in the middle of the port. */
const LISTENING = /^.*listening on (https?):\/\/\S*?:(\d+)\b.*\n/gm

/**
 * Starts `bin/berth` on a free port in a folder of its own and waits for its ready line.
 * @throws Error with the log when that does not come.
 */
export async function startBerth(options: StartOptions = {}): Promise<Berth> {
  const { verb = 'serve', args = [], env = {}, listeners = 1 } = options
  const folder = mkdtempSync(join(tmpdir(), 'berth-'))
  const dataDirectory = options.dataDirectory ?? join(folder, 'data')
  mkdirSync(dataDirectory, { recursive: true })
  const command = [options.program ?? BERTH, verb, ...operands(options, folder), ...args]
  const isGiven = (option: string, variable: string) => args.includes(option) || variable in env
  if (verb === 'serve' && !isGiven('--addr', 'REGISTRY_HTTP_ADDR')) command.push('--addr', '127.0.0.1:0')
  if (verb === 'serve' && !isGiven('--data', 'REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY'))
    command.push('--data', dataDirectory)

  let text = ''
  const child = Bun.spawn(command, {
    cwd: folder,
    env: cleanEnvironment(env),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const killIfForgotten = () => child.kill('SIGKILL')
  process.on('exit', killIfForgotten)
  const pipes = [child.stdout, child.stderr].map(async (stream) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true })
  })
  const ended = Promise.all([child.exited, ...pipes]).then(([code]) => {
    process.off('exit', killIfForgotten)
    return code
  })

  const ready = await waitForListeners(() => text, listeners, child)
  if (ready === undefined) {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`not ready: ${command.join(' ')}\n${text}`)
  }
  const registry = ready.find((listener) => !listener.isTokenServer) ?? ready[0]
  const tokenServer = ready.find((listener) => listener.isTokenServer)

  const stop = async () => {
    child.kill('SIGTERM')
    const code = await Promise.race([ended, Bun.sleep(STOP_TIMEOUT_MS).then(() => undefined)])
    if (code !== undefined) return code
    child.kill('SIGKILL')
    throw new Error(`does not end on SIGTERM:\n${text}`)
  }
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  return {
    url: registry?.url ?? '',
    port: registry?.port ?? 0,
    tokenServerUrl: tokenServer?.url,
    dataDirectory,
    pid: child.pid,
    log: () => text,
    stop,
    kill,
    dispose: async () => {
      if (child.exitCode === null && child.signalCode === null) await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function operands({ verb, config, authConfig }: StartOptions, folder: string): string[] {
  const result: string[] = []
  if (config !== undefined) result.push(write(folder, 'config.yml', config))
  if (authConfig !== undefined) {
    const path = write(folder, 'auth_config.yml', authConfig)
    result.push(...(verb === 'auth' ? [path] : ['--auth-config', path]))
  }
  return result
}

function write(folder: string, name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

async function waitForListeners(
  log: () => string,
  count: number,
  child: { exitCode: number | null },
): Promise<Listener[] | undefined> {
  const tries = READY_TIMEOUT_MS / 20
  for (let attempt = 0; attempt < tries; attempt++) {
    const found = [...log().matchAll(LISTENING)].map(([line, scheme, port]) => ({
      url: `${scheme}://127.0.0.1:${port}`,
      port: Number(port),
      isTokenServer: line.includes('token server'),
    }))
    if (found.length >= count) return found
    if (child.exitCode !== null) return undefined
    await Bun.sleep(20)
  }
  return undefined
}
