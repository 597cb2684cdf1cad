import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cleanEnvironment, type Ended, must, program, type RunOptions, run } from './programs.ts'
import { scratchFolder } from './scratch.ts'

/** Milliseconds; both only end what hangs. */
const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 90_000

/** Without a login of any host docker takes the credential helper that the machine has, which nobody set up here. */
export const NO_HELPER = '{"auths":{"nobody.invalid":{}}}'

/** A docker client with credentials of its own: the ~/.docker of whoever runs the tests is never touched. */
export interface Docker {
  /** DOCKER_HOST and DOCKER_CONFIG, for commands that a shell runs. */
  env: Record<string, string>
  run(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** As `run`, but fails unless the exit code is 0; answers stdout. */
  must(args: readonly string[], options?: RunOptions): Promise<string>
}

export interface Dockerd {
  client(): Docker
  log(): string
  /** Ends it and all that it started, unmounts what it left mounted, removes its folder. */
  dispose(): Promise<void>
}

/**
 * Starts a dockerd (and, through it, a containerd) of the test's own, without networks: containers run with
 * `--network host`. Registries on 127.0.0.0/8 may be plain HTTP or have any certificate, which is dockerd's own default.
 * Needs root. @throws Error with its log when it does not come up.
 */
export async function startDockerd(): Promise<Dockerd> {
  // Short, because a unix socket's path has at most 107 characters.
  const folder = scratchFolder('bd-')
  const namespace = basename(folder)
  const socket = join(folder, 'sock')
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'a')
  const child = Bun.spawn(
    [
      program('dockerd', 'docker.io'),
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
      ...['--pidfile', join(folder, 'pid'), '--host', `unix://${socket}`],
      ...['--containerd-namespace', namespace, '--containerd-plugins-namespace', `${namespace}-plugins`],
      ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'],
    ],
    { env: cleanEnvironment(), stdin: 'ignore', stdout: log, stderr: log },
  )
  const stopIfForgotten = () => child.kill('SIGTERM')
  process.on('exit', stopIfForgotten)

  const dispose = async () => {
    child.kill('SIGTERM')
    const late = await Promise.race([child.exited, Bun.sleep(STOP_TIMEOUT_MS).then(() => 'late')])
    if (late === 'late') child.kill('SIGKILL')
    await child.exited
    process.off('exit', stopIfForgotten)
    for (const point of mountsBelow(folder)) await run(['umount', '--lazy', point])
    rmSync(folder, { recursive: true, force: true })
  }

  let clients = 0
  const client = (): Docker => {
    const configDirectory = join(folder, `client-${clients++}`)
    mkdirSync(configDirectory)
    writeFileSync(join(configDirectory, 'config.json'), NO_HELPER)
    const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: configDirectory, DOCKER_BUILDKIT: '0' }
    const command = (args: readonly string[]) => [program('docker', 'docker.io'), ...args]
    const withEnv = (options: RunOptions) => ({ ...options, env: { ...env, ...options.env } })
    return {
      env,
      run: (args, options = {}) => run(command(args), withEnv(options)),
      must: (args, options = {}) => must(command(args), withEnv(options)),
    }
  }

  const probe = client()
  const deadline = READY_TIMEOUT_MS / 250
  for (let attempt = 0; attempt < deadline && child.exitCode === null; attempt++) {
    const { code } = await probe.run(['version', '--format', '{{.Server.Version}}'])
    if (code === 0) return { client, log: () => readFileSync(logFile, 'utf8'), dispose }
    await Bun.sleep(250)
  }
  const text = readFileSync(logFile, 'utf8')
  await dispose()
  throw new Error(`dockerd does not start:\n${text.slice(-4000)}`)
}

/** Deepest first. Paths in mountinfo write a blank as \040. */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((point) => point.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)
}
