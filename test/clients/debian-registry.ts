import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment, program } from '../programs.ts'
import { freePort } from '../start-berth.ts'

const READY_TIMEOUT_MS = 15_000
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

/** Starts one on a free port, on a fresh directory, with deletion enabled. @throws Error with its log. */
export async function startDebianRegistry(
  auth: { token: TokenAuth } | { htpasswd: { realm: string; path: string } } | 'none',
): Promise<DebianRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  const port = await freePort()
  const config = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
    ...(auth === 'none' ? {} : { auth }),
  }
  // YAML is a superset of JSON.
  const configFile = join(folder, 'config.yml')
  writeFileSync(configFile, JSON.stringify(config))
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
  const url = `http://127.0.0.1:${port}`
  for (let waited = 0; waited < READY_TIMEOUT_MS && child.exitCode === null; waited += POLL_MS) {
    const status = await fetch(`${url}/v2/`).then(
      (answer) => answer.status,
      () => undefined,
    )
    if (status === 401 || status === 200) return { host: `localhost:${port}`, url, log, dispose }
    await Bun.sleep(POLL_MS)
  }
  const text = log()
  await dispose()
  throw new Error(`docker-registry does not start:\n${text}`)
}
