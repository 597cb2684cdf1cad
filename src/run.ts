import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createApp, createTokenApp, openAccounts, systemClock } from './app.ts'
import type { Config, LogConfig, TokenServerConfig } from './config/config.ts'
import { createAccessLog } from './http/access-log.ts'
import { type Listener, listen, shortSocketPath } from './http/listen.ts'
import { createLineWriter } from './telemetry/line-writer.ts'
import { createLog, type Log } from './telemetry/log.ts'

/** A server that runs. */
export interface Running {
  registry: Listener
  tokens: Listener | undefined
  /** Absolute. */
  data: string
  open: boolean
  /** Where users of the database may log in: what is known of the first administrator's password. */
  admin: { password: string | undefined; passwordFile: string | undefined } | undefined
  stop(): Promise<void>
}

const SOCKET = 'berth.sock'
/** Where registry:2 keeps which repository has what. */
const FOREIGN_TREE = 'docker/registry/v2/repositories'
const PASSWORD_FILE = 'berth-admin-password'
/** Milliseconds that running requests of a token server alone get to finish. */
const DRAIN = 30_000
/** Milliseconds that lines of the access log may wait. */
const ACCESS_LOG_DELAY = 200

/** Opens the data directory and all listeners. @throws Error with a text for the user; nothing is left running then. */
export async function startApp(config: Config, options: { adminPassword: string | undefined }): Promise<Running> {
  const data = resolve(config.data.directory)
  const passwordFile = join(data, PASSWORD_FILE)
  const { log, flush } = openLog(config.log)
  const listeners: Listener[] = []
  let closeApp = async () => {}
  let flushAccess = () => {}
  const stop = async (drainMs: number) => {
    // Side by side, for each waits for its own requests.
    await Promise.all(listeners.map((listener) => listener.stop(drainMs)))
    await closeApp()
    flushAccess()
    flush()
  }
  try {
    if (existsSync(join(data, FOREIGN_TREE))) {
      log.warn(
        `${join(data, FOREIGN_TREE)} was written by registry:2; Berth does not adopt it yet, and shows none of it`,
      )
    }
    const onPassword = async (name: string) => {
      forgetPassword(passwordFile, name)
      log.info('password changed', { user: name })
    }
    const app = await createApp(config, { ...systemClock, log, onPassword })
    closeApp = app.close

    const access = config.log.accessLog ? createLineWriter(1, ACCESS_LOG_DELAY) : undefined
    if (access !== undefined) flushAccess = access.flush
    const onAnswer = access === undefined ? undefined : createAccessLog(access.write, systemClock.now)
    const onError = (error: unknown) => log.error('request failed', { error })
    const open = async (options: Parameters<typeof listen>[0]) => {
      const listener = await listen(options)
      listeners.push(listener)
      return listener
    }

    const control = { kind: 'unix', path: join(data, SOCKET) } as const
    await open({ address: control, fetch: (request) => app.control(request), onError })
    const { tokenServer } = config
    const tokens =
      app.tokens === undefined || tokenServer?.listen === undefined
        ? undefined
        : await open({ address: tokenServer.listen, tls: tokenServer.tls, fetch: app.tokens, onAnswer, onError })
    const { listen: address, tls } = config.http
    const registry = await open({ address, tls, fetch: app.fetch, onAnswer, onError })
    // Last, for a start that fails leaves nobody with a password that was never shown.
    const password = app.hasAccounts ? await app.accounts.ensureAdmin(options.adminPassword) : undefined
    const made = password !== undefined && options.adminPassword === undefined
    if (made) writeSecret(passwordFile, `${password}\n`)
    if (app.hasAccounts && password === undefined && options.adminPassword !== undefined) {
      log.warn('BERTH_ADMIN_PASSWORD only counts for a new registry; berth user passwd admin changes the password')
    }
    return {
      registry,
      tokens,
      data,
      open: config.auth.kind === 'none',
      admin: app.hasAccounts
        ? { password: made ? password : undefined, passwordFile: existing(passwordFile) }
        : undefined,
      stop: () => stop(config.http.drainTimeoutMs),
    }
  } catch (error) {
    await stop(0)
    throw error
  }
}

/** `berth auth`: the token server alone. */
export async function startTokenServer(config: {
  tokenServer: TokenServerConfig
  data: Config['data']
  log: LogConfig
}): Promise<{ url: string; stop(): Promise<void> }> {
  const { tokenServer } = config
  if (tokenServer.listen === undefined) throw new Error('server.addr is required')
  const { log, flush } = openLog(config.log)
  const app = await createTokenApp(config, { ...systemClock, log })
  try {
    const listener = await listen({
      address: tokenServer.listen,
      tls: tokenServer.tls,
      fetch: app.fetch,
      onError: (error) => log.error('request failed', { error }),
    })
    return {
      url: listener.url,
      async stop() {
        await listener.stop(DRAIN)
        await app.close()
        flush()
      },
    }
  } catch (error) {
    await app.close()
    throw error
  }
}

/** The socket of the server that owns a data directory, in a spelling that the kernel takes. @throws Error when the directory is missing. */
export function controlSocketOf(data: Config['data']): { path: string; close: () => void } {
  return shortSocketPath(join(resolve(data.directory), SOCKET))
}

/** Changes a password while no server runs. Resolves to false when there is no such user. */
export async function setPasswordOffline(data: Config['data'], name: string, password: string): Promise<boolean> {
  const { accounts, close } = await openAccounts(data, systemClock.now)
  try {
    const changed = await accounts.setPassword(name, password)
    if (changed) forgetPassword(join(resolve(data.directory), PASSWORD_FILE), name)
    return changed
  } finally {
    await close()
  }
}

function openLog(config: LogConfig): { log: Log; flush: () => void } {
  const writer = createLineWriter(2, 0)
  const { level, formatter, fields } = config
  return {
    log: createLog({ level, formatter, fields, now: systemClock.now, write: writer.write }),
    flush: writer.flush,
  }
}

function forgetPassword(passwordFile: string, name: string): void {
  if (name === 'admin') rmSync(passwordFile, { force: true })
}

function existing(path: string): string | undefined {
  return Bun.file(path).size > 0 ? path : undefined
}

function writeSecret(path: string, text: string): void {
  rmSync(path, { force: true })
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  chmodSync(path, 0o600)
}
