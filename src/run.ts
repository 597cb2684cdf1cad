import { join, resolve } from 'node:path'
import { createApp, systemClock } from './app.ts'
import { untilFree } from './app-owner.ts'
import type { Config } from './config/config.ts'
import { createAccessLog } from './http/access-log.ts'
import { withAuthority } from './http/authority.ts'
import { type Listener, listen } from './http/listen.ts'
import { withRenewal } from './http/renewal.ts'
import type { FileWatch } from './jobs/watch-files.ts'
import { type AdoptionProgress, adoptAtStart } from './run-adopt.ts'
import { controlAddress, isServed } from './run-control.ts'
import { existing, firstAdmin, forgetPassword, openLog, PASSWORD_FILE } from './run-files.ts'
import { type ConfigSource, renewCertificate, type Secured, startReloading } from './run-reload.ts'
import { createCertificateKeeper, type SecureListen } from './run-tls.ts'
import { type OpenWatch, observeCertificates, openWatch } from './run-watch.ts'
import { createLineWriter } from './telemetry/line-writer.ts'

/** A server that runs. */
export interface Running {
  registry: Listener
  tokens: Listener | undefined
  debug: Listener | undefined
  /** Absolute. */
  data: string
  open: boolean
  /** SHA-256 of Berth's own authority, where that signed the registry's certificate. */
  authority: string | undefined
  /** Where users of the database may log in: what is known of the first administrator's password. */
  admin: { password: string | undefined; passwordFile: string | undefined } | undefined
  /** Reads the configuration again, changed or not, and opens the audit file anew. */
  reload(): Promise<void>
  stop(): Promise<void>
}

/** Milliseconds that lines of the access log may wait. */
const ACCESS_LOG_DELAY = 200

/** Opens the data directory and all listeners. @throws Error with a text for the user; nothing is left running then. */
export async function startApp(
  config: Config,
  options: {
    adminPassword: string | undefined
    source?: ConfigSource<Config>
    /** Shows how far an adoption is; without it the log tells. */
    onProgress?: ((progress: AdoptionProgress | undefined) => void) | undefined
    /** Ends a start that takes long. */
    signal?: AbortSignal | undefined
  },
): Promise<Running> {
  const data = resolve(config.data.directory)
  const passwordFile = join(data, PASSWORD_FILE)
  const opened = openLog(config.log)
  const { log } = opened
  const listeners: Listener[] = []
  const keeper = createCertificateKeeper({ log, now: systemClock.now })
  let files: FileWatch | undefined
  let seen: OpenWatch | undefined
  let closeApp = async () => {}
  let flushAccess = () => {}
  const stop = async (drainMs: number) => {
    seen?.watch.lifecycle.stop()
    files?.stop()
    await keeper.stop(drainMs)
    // Side by side, for each waits for its own requests.
    await Promise.all(listeners.map((listener) => listener.stop(drainMs)))
    await closeApp()
    await seen?.close()
    flushAccess()
    await opened.close()
  }
  try {
    seen = await openWatch(config, opened)
    const { watch, debug } = seen
    const onPassword = async (name: string) => {
      forgetPassword(passwordFile, name)
      log.info('password changed', { user: name })
    }
    await untilFree(config.data, { log, isServed, signal: options.signal })
    const app = await createApp(config, { ...systemClock, log, onPassword, watch })
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

    const { adminPassword: wanted } = options
    const ensureAdmin = async () =>
      app.hasAccounts ? await firstAdmin(app.accounts.ensureAdmin, { wanted, passwordFile, log }) : undefined
    // Who chose it knows it: nobody is refused with the right password because the first answer came before the account.
    if (wanted !== undefined) await ensureAdmin()
    const useCertificates = await keeper.prepare(secureListens(config))
    useCertificates()
    await open({ address: controlAddress(data), fetch: withRenewal(app.control, keeper.renew), onError })
    const { tokenServer } = config
    const tokens =
      app.tokens === undefined || tokenServer?.listen === undefined
        ? undefined
        : await open({
            address: tokenServer.listen,
            tls: keeper.filesOf(tokenServer.tls),
            fetch: app.tokens,
            onAnswer,
            onError,
          })
    const registry = await open({
      address: config.http.listen,
      tls: keeper.filesOf(config.http.tls),
      fetch: withAuthority(app.fetch, () => keeper.authority()?.toString()),
      onAnswer,
      onError,
    })
    app.traffic.pending = registry.pending
    // From here on what runs often is worth to be compiled (threads/start-ahead.ts).
    Bun.unsafe.setJITPolicy(1)
    const secured: Secured<Config>[] = [
      [registry, ({ http }) => keeper.filesOf(http.tls)],
      [tokens, (next) => keeper.filesOf(next.tokenServer?.tls)],
    ]
    let current = config
    observeCertificates(watch.metrics, () => [
      ['http', keeper.filesOf(current.http.tls)?.certificate],
      ['tokenserver', keeper.filesOf(current.tokenServer?.tls)?.certificate],
      ['token', current.tokenServer?.certificate],
    ])
    keeper.start(async () => {
      for (const [listener, tlsOf] of secured) await renewCertificate(listener, tlsOf(current), log)
    })
    const release = app.isAdopting() ? watch.lifecycle.hold('images that registry:2 left are being adopted') : undefined
    await adoptAtStart(app, { ...options, log })
    release?.()
    // Last, for a start that fails leaves nobody with a password that was never shown.
    const password = wanted === undefined ? await ensureAdmin() : undefined
    files =
      options.source &&
      startReloading({
        source: options.source,
        initial: config,
        fixed: FIXED,
        reconfigure: async (next) => {
          const use = await keeper.prepare(secureListens(next))
          await app.reconfigure(next)
          current = next
          use()
        },
        secured,
        log,
      })
    watch.lifecycle.start()
    return {
      registry,
      tokens,
      debug,
      data,
      open: config.auth.kind === 'none',
      authority: keeper.authority()?.fingerprint256,
      admin: app.hasAccounts ? { password, passwordFile: existing(passwordFile) } : undefined,
      reload: async () => {
        await app.reopen()
        await files?.trigger()
      },
      stop: () => stop(config.http.drainTimeoutMs),
    }
  } catch (error) {
    await stop(0)
    throw error
  }
}

function secureListens({ http, tokenServer }: Config): SecureListen[] {
  const tokens = { tls: tokenServer?.tls, listen: tokenServer?.listen }
  return [{ tls: http.tls, listen: http.listen }, ...(tokens.listen === undefined ? [] : [tokens])]
}

const FIXED: readonly [string, (config: Config) => unknown][] = [
  ['the data directory', ({ data }) => data],
  ['storage.cache', ({ cache }) => cache],
  ['http.addr', ({ http }) => http.listen],
  ['http.debug', ({ http }) => http.debug],
  ['http.tls (on or off)', ({ http }) => http.tls === undefined],
  ["the token server's server.addr", ({ tokenServer }) => tokenServer?.listen],
  ["the token server's certificate (on or off)", ({ tokenServer }) => tokenServer?.tls === undefined],
  ['audit.file', ({ tokenServer }) => tokenServer?.audit.file],
  ['log', ({ log }) => log],
]
