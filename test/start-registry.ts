import { rmSync } from 'node:fs'
import { type App, createApp, systemClock } from '../src/app.ts'
import type { Watch } from '../src/app-watch.ts'
import type { Config } from '../src/config/config.ts'
import { loadConfig } from '../src/config/load.ts'
import { type Listener, listen } from '../src/http/listen.ts'
import { createLog, type Log, type LogOptions } from '../src/telemetry/log.ts'
import { scratchFolder } from './scratch.ts'

/** A registry in this process, on a port of its own. */
export interface TestRegistry {
  /** `http://127.0.0.1:PORT`. */
  url: string
  port: number
  directory: string
  app: App
  /** Lines of its log so far. */
  log: string[]
  stop(): Promise<void>
}

/**
 * Starts one on a fresh directory (or a given one, which then stays), with authentication off unless `env` says otherwise.
 * `env` are REGISTRY_* variables; `change` sees the configuration last.
 */
export async function startRegistry(
  options: {
    env?: Record<string, string>
    directory?: string
    change?: (config: Config) => void
    now?: () => number
    /** How the log is written; text unless told. */
    formatter?: LogOptions['formatter']
    level?: LogOptions['level']
    /** As `serve` has it: health is checked, and everything counted. */
    watch?: (log: Log) => Watch
  } = {},
): Promise<TestRegistry> {
  const directory = options.directory ?? scratchFolder('berth-test-')
  const env = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', ...options.env }
  const { config, problems } = loadConfig({ env, flags: { addr: '127.0.0.1:0', data: directory } })
  if (config === undefined) throw new Error(JSON.stringify(problems))
  options.change?.(config)
  const lines: string[] = []
  const clock = { ...systemClock, ...(options.now === undefined ? {} : { now: options.now }) }
  const log = createLog({
    level: options.level ?? 'debug',
    formatter: options.formatter ?? 'text',
    fields: {},
    now: clock.now,
    write: (line) => lines.push(line),
  })
  const watch = options.watch?.(log)
  const app = await createApp(config, {
    ...clock,
    log,
    onPassword: async () => {},
    ...(watch === undefined ? {} : { watch }),
  })
  let listener: Listener
  try {
    const address = { kind: 'tcp', hostname: '127.0.0.1', port: 0 } as const
    listener = await listen({
      address,
      fetch: app.fetch,
      onError: (error) => lines.push(`late failure: ${String(error)}`),
    })
  } catch (error) {
    await app.close()
    throw error
  }
  return {
    url: listener.url,
    port: listener.port ?? 0,
    directory,
    app,
    log: lines,
    async stop() {
      await listener.stop(5000)
      await app.close()
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true })
    },
  }
}
