import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment, findProgram } from '../programs.ts'
import { BERTH, freePort } from '../start-berth.ts'
import { connect, type Target } from './connection.ts'
import type { Credentials } from './credentials.ts'
import { cpuSeconds, peakMebibytes } from './process-figures.ts'
import { type Access, registryConfig } from './settings.ts'
import type { Medium, Workplace } from './workplace.ts'

/** `peer` is Debian's docker-registry. */
export type ServerName = 'berth' | 'peer'

export interface Server {
  name: ServerName
  pid: number
  /** Without Authorization. */
  target: Target
  folder: string
  /** From its start until its first answer at `/v2/`. Milliseconds. */
  startedAfterMs: number
  /** User and system seconds so far. */
  cpuSeconds(): number
  peakMebibytes(): number
  /** Ends it and removes its data. @throws Error when it does not end. */
  stop(): Promise<void>
}

export interface Start {
  name: ServerName
  medium: Medium
  access: Access
  /** Data of an earlier start, to use again; else an empty folder. */
  folder?: string
  keepData?: boolean
  /** Text of an auth_config.yml, for Berth. */
  authConfig?: string
}

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000

/** Starts one of the two servers with the same configuration. @throws Error with its output when it does not answer. */
export async function startServer(workplace: Workplace, credentials: Credentials, start: Start): Promise<Server> {
  const folder = start.folder ?? workplace.folder(start.medium, start.name)
  const port = await freePort()
  const dataDirectory = join(folder, 'data')
  const config = join(folder, 'config.yml')
  writeFileSync(config, registryConfig({ access: start.access, dataDirectory, port }, credentials))
  const authConfig = join(folder, 'auth_config.yml')
  if (start.authConfig !== undefined) writeFileSync(authConfig, start.authConfig)

  const output = join(folder, 'output.log')
  const file = Bun.file(output)
  const began = performance.now()
  const child = Bun.spawn(
    start.name === 'peer'
      ? [peerProgram(), 'serve', config]
      : [
          ...[BERTH, 'serve', config, '--addr', `127.0.0.1:${port}`, '--data', dataDirectory],
          ...(start.authConfig === undefined ? [] : ['--auth-config', authConfig]),
        ],
    { cwd: folder, env: cleanEnvironment(), stdin: 'ignore', stdout: 'ignore', stderr: file },
  )
  workplace.own(child)
  const target: Target = { host: '127.0.0.1', port, tls: start.access === 'tls' }
  const isUp = await firstAnswer(target, began + START_TIMEOUT_MS, () => child.exitCode === null)
  const startedAfterMs = performance.now() - began
  if (!isUp) {
    child.kill('SIGKILL')
    throw new Error(`${start.name} does not answer:\n${(await file.text()).slice(0, 4000)}`)
  }
  return {
    name: start.name,
    pid: child.pid,
    target,
    folder,
    startedAfterMs,
    cpuSeconds: () => cpuSeconds(child.pid),
    peakMebibytes: () => peakMebibytes(child.pid),
    stop: async () => {
      child.kill(start.name === 'peer' ? 'SIGKILL' : 'SIGTERM')
      const code = await Promise.race([child.exited, Bun.sleep(STOP_TIMEOUT_MS).then(() => undefined)])
      if (code === undefined) {
        child.kill('SIGKILL')
        await child.exited
        throw new Error(`${start.name} did not end on SIGTERM:\n${(await file.text()).slice(-4000)}`)
      }
      if (start.keepData !== true) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** @throws Error that names the package when docker-registry is not installed. */
export function peerProgram(): string {
  const path = findProgram('docker-registry')
  if (path === undefined) throw new Error('docker-registry is not installed: apt-get install docker-registry')
  return path
}

async function firstAnswer(target: Target, until: number, isAlive: () => boolean): Promise<boolean> {
  while (performance.now() < until && isAlive()) {
    try {
      const connection = await connect(target)
      const { status } = await connection.send({ method: 'GET', path: '/v2/' })
      connection.close()
      if (status === 200 || status === 401) return true
    } catch {
      // Nobody listens yet.
    }
    await Bun.sleep(1)
  }
  return false
}
