import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { cleanEnvironment, findProgram } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { connect, type Target } from './connection.ts'
import type { Credentials } from './credentials.ts'
import { cpuSeconds, peakMebibytes, readCalls } from './process-figures.ts'
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
  /** From its start until its first answer. Milliseconds. */
  startedAfterMs: number
  /** User and system seconds so far. */
  cpuSeconds(): number
  peakMebibytes(): number
  /** Reads of files so far. */
  readCalls(): number
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
  /** Another one than the `bin/berth` of this checkout, or the one on the path. */
  program?: string
  /** Sections of Berth's own that the configuration has besides. */
  config?: Record<string, unknown>
}

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000

/** Starts one of the two servers with the same configuration. @throws Error with its output when it does not answer. */
export async function startServer(workplace: Workplace, credentials: Credentials, start: Start): Promise<Server> {
  const { name, access } = start
  const folder = start.folder ?? workplace.folder(start.medium, name)
  const port = await freePort()
  const dataDirectory = join(folder, 'data')
  const config = join(folder, 'config.yml')
  writeFileSync(config, registryConfig({ access, dataDirectory, port, more: start.config }, credentials))
  const command =
    name === 'peer'
      ? [start.program ?? peerProgram(), 'serve', config]
      : [start.program ?? BERTH, 'serve', config, '--addr', `127.0.0.1:${port}`, '--data', dataDirectory]
  const target: Target = { host: '127.0.0.1', port, tls: access === 'tls' }
  return await launch(workplace, { name, command, folder, target, path: '/v2/', keepData: start.keepData === true })
}

/**
 * Starts Berth's token server alone, over TLS, with the text of an auth_config.yml that names no address.
 * @param dataDirectory where it keeps rows and lines of every decision; undefined: it keeps none.
 * @throws Error as `startServer`.
 */
export async function startTokenServer(
  workplace: Workplace,
  folder: string,
  authConfig: string,
  dataDirectory: string | undefined,
): Promise<Server> {
  const port = await freePort()
  const config = join(folder, 'auth_config.yml')
  writeFileSync(config, authConfig)
  const data = dataDirectory === undefined ? [] : ['--data', dataDirectory]
  const command = [BERTH, 'auth', config, '--addr', `127.0.0.1:${port}`, ...data]
  const target: Target = { host: '127.0.0.1', port, tls: true }
  return await launch(workplace, { name: 'berth', command, folder, target, path: '/auth', keepData: true })
}

interface Launch extends Pick<Server, 'name' | 'folder' | 'target'> {
  command: string[]
  /** Answers 200 or 401 once it is up. */
  path: string
  keepData: boolean
}

async function launch(
  workplace: Workplace,
  { name, command, folder, target, path, keepData }: Launch,
): Promise<Server> {
  const file = Bun.file(join(folder, 'output.log'))
  const began = performance.now()
  const child = Bun.spawn(command, {
    ...{ cwd: folder, env: cleanEnvironment(), stdin: 'ignore', stdout: 'ignore', stderr: file },
  })
  workplace.own(child)
  const isUp = await firstAnswer(target, path, began + START_TIMEOUT_MS, () => child.exitCode === null)
  const startedAfterMs = performance.now() - began
  if (!isUp) {
    child.kill('SIGKILL')
    throw new Error(`${name} does not answer:\n${(await file.text()).slice(0, 4000)}`)
  }
  return {
    name,
    pid: child.pid,
    target,
    folder,
    startedAfterMs,
    cpuSeconds: () => cpuSeconds(child.pid),
    peakMebibytes: () => peakMebibytes(child.pid),
    readCalls: () => readCalls(child.pid),
    stop: async () => {
      child.kill(name === 'peer' ? 'SIGKILL' : 'SIGTERM')
      const code = await Promise.race([child.exited, Bun.sleep(STOP_TIMEOUT_MS).then(() => undefined)])
      if (code === undefined) {
        child.kill('SIGKILL')
        await child.exited
        throw new Error(`${name} did not end on SIGTERM:\n${(await file.text()).slice(-4000)}`)
      }
      if (!keepData) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** @throws Error that names the package when docker-registry is not installed. */
export function peerProgram(): string {
  const path = findProgram('docker-registry')
  if (path === undefined) throw new Error('docker-registry is not installed: apt-get install docker-registry')
  return path
}

async function firstAnswer(target: Target, path: string, until: number, isAlive: () => boolean): Promise<boolean> {
  while (performance.now() < until && isAlive()) {
    try {
      const connection = await connect(target)
      const { status } = await connection.send({ method: 'GET', path })
      connection.close()
      if (status === 200 || status === 401) return true
    } catch {
      // Nobody listens yet.
    }
    await Bun.sleep(1)
  }
  return false
}
