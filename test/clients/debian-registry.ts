import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { cleanEnvironment, type Ended, program, run } from '../programs.ts'

/** Only to end one that hangs. */
const READY_TIMEOUT_MS = 90_000
const POLL_MS = 25

/** `auth.token` of a registry. */
export interface TokenAuth {
  realm: string
  service: string
  issuer: string
  /** PEM file. */
  rootcertbundle: string
}

/** Debian's docker-registry (2.8): the registry that people run today. */
export interface DebianRegistry {
  /** `localhost:PORT`, as docker names it. */
  host: string
  url: string
  log(): string
  dispose(): Promise<void>
}

export type DebianAuth = { token: TokenAuth } | { htpasswd: { realm: string; path: string } }

/**
 * Starts one on a free port, on a fresh directory or a given one, with deletion enabled; open to everybody unless told.
 * `more` are further sections of its configuration. @throws Error with its log.
 */
export async function startDebianRegistry(
  auth: DebianAuth | 'none' = 'none',
  directory?: string,
  more: Record<string, unknown> = {},
): Promise<DebianRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  const port = await freePort()
  const configFile = writeConfig(folder, directory ?? join(folder, 'data'), port, auth, more)
  try {
    const registry = await serveConfigured(configFile, `http://127.0.0.1:${port}`)
    const dispose = async () => {
      await registry.dispose()
      rmSync(folder, { recursive: true, force: true })
    }
    return { ...registry, dispose }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/** Starts one with a configuration of the test's own, which listens at `url`. @throws Error with its log. */
export async function serveConfigured(configFile: string, url: string): Promise<DebianRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  const logFile = join(folder, 'log')
  const output = openSync(logFile, 'a')
  const child = Bun.spawn([program('docker-registry'), 'serve', configFile], {
    cwd: folder,
    env: cleanEnvironment(),
    stdin: 'ignore',
    stdout: output,
    stderr: output,
  })
  const killIfForgotten = () => child.kill('SIGKILL')
  process.on('exit', killIfForgotten)
  const log = () => readFileSync(logFile, 'utf8')
  const dispose = async () => {
    child.kill('SIGKILL')
    await child.exited
    process.off('exit', killIfForgotten)
    rmSync(folder, { recursive: true, force: true })
  }
  for (let waited = 0; waited < READY_TIMEOUT_MS && child.exitCode === null; waited += POLL_MS) {
    const status = await fetch(`${url}/v2/`, { tls: { rejectUnauthorized: false } }).then(
      (answer) => answer.status,
      () => undefined,
    )
    if (status === 200 || status === 401) return { host: `localhost:${new URL(url).port}`, url, log, dispose }
    await Bun.sleep(POLL_MS)
  }
  const text = log()
  await dispose()
  throw new Error(`docker-registry does not start:\n${text}`)
}

/** What its garbage-collect does with a directory, and says of it. With `dryRun` it deletes nothing. */
export async function collectGarbage(directory: string, { dryRun }: { dryRun: boolean }): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  try {
    const configFile = writeConfig(folder, directory, 0, 'none')
    const options = dryRun ? ['--dry-run'] : []
    return await run([program('docker-registry'), 'garbage-collect', ...options, configFile])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Answers the path of the file. */
function writeConfig(
  folder: string,
  directory: string,
  port: number,
  auth: DebianAuth | 'none',
  more: Record<string, unknown> = {},
): string {
  const config = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true } },
    ...(auth === 'none' ? {} : { auth }),
    ...more,
    http: { addr: `127.0.0.1:${port}`, ...(more.http ?? {}) },
  }
  const path = join(folder, 'config.yml')
  // YAML is a superset of JSON.
  writeFileSync(path, JSON.stringify(config))
  return path
}
