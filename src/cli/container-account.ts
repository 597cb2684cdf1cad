import type { Listen } from '../config/config.ts'
import { readFiles } from '../config/files.ts'
import { loadConfig, loadTokenServer } from '../config/load.ts'
import { descend, type Needs } from '../run-account.ts'
import { configPathOf, type ServerCommand, serverOf } from './running-servers.ts'

/**
 * `berth container-account ARG...`: what the image's entrypoint asks when root starts it with those arguments. Prints the options
 * of setpriv(1) with which a server is to go on; nothing where it is to stay root, or where it is no server: who copies images or
 * writes a backup does that with the files of whoever started the container.
 */
export function containerAccount(args: readonly string[]): number {
  const server = serverOf(['berth', ...args])
  if (server === undefined) return 0
  try {
    const { options, notes } = descend(needsOf(server, process.env))
    for (const note of notes) process.stderr.write(`note: ${note}\n`)
    process.stdout.write(options.length === 0 ? '' : `${options.join(' ')}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`berth: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

type Environment = Readonly<Record<string, string | undefined>>

function needsOf(server: ServerCommand, env: Environment): Needs {
  return server.verb === 'auth' ? tokenServerNeeds(server, env) : registryNeeds(server, env)
}

function registryNeeds(server: ServerCommand, env: Environment): Needs {
  const path = configPathOf(server, env)
  const { config } = loadConfig({ file: path, authFile: server.authConfig, env, flags: server.flags })
  const files = [path, server.authConfig].filter((file) => file !== undefined)
  // The server itself says what is wrong.
  if (config === undefined) return { directories: [], reads: files, writes: [], ports: [] }
  const { http, tokenServer, data } = config
  const listens = [
    http.listen,
    http.debug?.listen,
    tokenServer?.listen,
    challengesOf(http.tls),
    challengesOf(tokenServer?.tls),
  ]
  return {
    directories: [...new Set([data.directory, data.metadata])],
    reads: [...files, ...readFiles(config)],
    ...placesOf(listens, tokenServer?.audit.file),
  }
}

function tokenServerNeeds({ file, flags }: ServerCommand, env: Environment): Needs {
  const reads = file === undefined ? [] : [file]
  const { config, dataGiven } = loadTokenServer({ authFile: file ?? '', env, flags })
  if (config === undefined) return { directories: [], reads, writes: [], ports: [] }
  const { tokenServer, data } = config
  return {
    directories: dataGiven ? [...new Set([data.directory, data.metadata])] : [],
    reads: [...reads, ...readFiles({ tokenServer })],
    ...placesOf([tokenServer.listen, challengesOf(tokenServer.tls)], tokenServer.audit.file),
  }
}

type Tls = { managed?: { kind: 'auto' } | { kind: 'acme'; httpAddr: Listen } }

function challengesOf(tls: Tls | undefined): Listen | undefined {
  return tls?.managed?.kind === 'acme' ? tls.managed.httpAddr : undefined
}

function placesOf(
  listens: readonly (Listen | undefined)[],
  audit: string | undefined,
): Pick<Needs, 'ports' | 'writes'> {
  const sockets = listens.flatMap((one) => (one?.kind === 'unix' ? [one.path] : []))
  return {
    ports: listens.flatMap((one) => (one?.kind === 'tcp' ? [one.port] : [])),
    writes: [...sockets, ...(audit === undefined ? [] : [audit])],
  }
}
