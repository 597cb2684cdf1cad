import { join, resolve } from 'node:path'
import { systemClock } from './app.ts'
import { untilFree } from './app-owner.ts'
import { createTokenApp } from './app-token.ts'
import type { Config, LogConfig, TokenServerConfig } from './config/config.ts'
import { type Listener, listen } from './http/listen.ts'
import { withRenewal } from './http/renewal.ts'
import type { FileWatch } from './jobs/watch-files.ts'
import { controlAddress, isServed } from './run-control.ts'
import { existing, firstAdmin, forgetPassword, openLog, PASSWORD_FILE } from './run-files.ts'
import { type ConfigSource, renewCertificate, type Secured, startReloading } from './run-reload.ts'
import { createCertificateKeeper } from './run-tls.ts'

/** Milliseconds that running requests get to finish. */
const DRAIN = 30_000

export interface TokenServerSetup {
  tokenServer: TokenServerConfig
  data: Config['data']
  log: LogConfig
}

/** `berth auth`: the token server alone. @throws Error with a text for the user; nothing is left running then. */
export async function startTokenServer(
  config: TokenServerSetup,
  options: { dataGiven: boolean; adminPassword: string | undefined; source?: ConfigSource<TokenServerSetup> },
): Promise<{ url: string; passwordFile: string | undefined; reload(): Promise<void>; stop(): Promise<void> }> {
  const { tokenServer } = config
  if (tokenServer.listen === undefined) throw new Error('server.addr is required')
  const opened = openLog(config.log)
  const { log } = opened
  const passwordFile = join(resolve(config.data.directory), PASSWORD_FILE)
  const onPassword = async (name: string) => forgetPassword(passwordFile, name)
  if (options.dataGiven) await untilFree(config.data, { log, isServed })
  const app = await createTokenApp({ ...config, dataGiven: options.dataGiven }, { ...systemClock, log, onPassword })
  const listeners: Listener[] = []
  const keeper = createCertificateKeeper({ log, now: systemClock.now })
  let watch: FileWatch | undefined
  const stop = async (drainMs: number) => {
    watch?.stop()
    await keeper.stop(drainMs)
    await Promise.all(listeners.map((listener) => listener.stop(drainMs)))
    await app.close()
    await opened.close()
  }
  try {
    const onError = (error: unknown) => log.error('request failed', { error })
    const { control } = app
    if (control !== undefined) {
      const address = controlAddress(resolve(config.data.directory))
      listeners.push(await listen({ address, fetch: withRenewal(control, keeper.renew), onError }))
    }
    const useCertificates = await keeper.prepare([tokenServer])
    useCertificates()
    const files = keeper.filesOf(tokenServer.tls)
    const listener = await listen({ address: tokenServer.listen, tls: files, fetch: app.fetch, onError })
    listeners.push(listener)
    const secured: Secured<TokenServerSetup>[] = [[listener, (next) => keeper.filesOf(next.tokenServer.tls)]]
    let current = config
    keeper.start(async () => {
      for (const [one, tlsOf] of secured) await renewCertificate(one, tlsOf(current), log)
    })
    if (app.ensureAdmin !== undefined) {
      await firstAdmin(app.ensureAdmin, { wanted: options.adminPassword, passwordFile, log })
    }
    watch =
      options.source &&
      startReloading({
        source: options.source,
        initial: config,
        fixed: FIXED,
        reconfigure: async (next) => {
          const use = await keeper.prepare([next.tokenServer])
          await app.reconfigure(next.tokenServer)
          current = next
          use()
        },
        secured,
        log,
      })
    return {
      url: listener.url,
      passwordFile: app.ensureAdmin === undefined ? undefined : existing(passwordFile),
      reload: async () => {
        await app.reopen()
        await watch?.trigger()
      },
      stop: () => stop(DRAIN),
    }
  } catch (error) {
    await stop(0)
    throw error
  }
}

const FIXED: readonly [string, (setup: TokenServerSetup) => unknown][] = [
  ['server.addr', ({ tokenServer }) => tokenServer.listen],
  ['server.certificate (on or off)', ({ tokenServer }) => tokenServer.tls === undefined],
  ['audit.file', ({ tokenServer }) => tokenServer.audit.file],
  ['log', ({ log }) => log],
]
