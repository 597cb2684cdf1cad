import type { TlsConfig } from './config/config.ts'
import { watchedFiles } from './config/files.ts'
import type { Problem } from './config/problem.ts'
import type { Listener } from './http/listen.ts'
import { type FileWatch, watchFiles } from './jobs/watch-files.ts'
import type { Log } from './telemetry/log.ts'

/** Where a configuration comes from, and how it is read again. */
export interface ConfigSource<C> {
  /** Files that it is written in. */
  files: readonly string[]
  /** Never throws: what is wrong is in the result. */
  load(): { config: C | undefined; problems: readonly Problem[]; warnings: readonly Problem[] }
}

/** A listener, and the pair that it has by a configuration. */
export type Secured<C> = [listener: Listener | undefined, tlsOf: (config: C) => TlsConfig | undefined]

/**
 * Puts a changed configuration in force: its own files are watched, and those that it names. One that cannot be used is
 * logged with all its problems, and the one before stays.
 */
export function startReloading<C extends Parameters<typeof watchedFiles>[0]>(options: {
  source: ConfigSource<C>
  /** The one in force now. */
  initial: C
  /** What was opened at the start and stays as it is, each with a name for the operator. */
  fixed: readonly [name: string, part: (config: C) => unknown][]
  /** @throws Error with a text for the operator when the configuration cannot be put in force. */
  reconfigure: (config: C) => Promise<void>
  secured: readonly Secured<C>[]
  log: Log
}): FileWatch {
  const { source, fixed, reconfigure, secured, log } = options
  let current = options.initial

  async function apply(next: C): Promise<void> {
    for (const [name, part] of fixed) {
      const isChanged = JSON.stringify(part(current)) !== JSON.stringify(part(next))
      if (isChanged) log.warn(`a change of ${name} needs a restart`)
    }
    await reconfigure(next)
    current = next
    for (const [listener, tlsOf] of secured) await renewCertificate(listener, tlsOf(next), log)
  }

  async function reload(): Promise<void> {
    const { config, problems, warnings } = source.load()
    for (const warning of warnings) log.warn(`configuration: ${textOf(warning)}`)
    for (const problem of problems) log.error(`configuration: ${textOf(problem)}`)
    if (config === undefined) {
      log.error('the changed configuration cannot be used; the one before stays in force')
      return
    }
    try {
      await apply(config)
      log.info('the configuration was read again and is in force')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error(`the changed configuration cannot be put in force; the one before stays: ${reason}`)
    }
  }

  return watchFiles({ paths: () => [...new Set([...source.files, ...watchedFiles(current)])], onChange: reload })
}

/** A pair that cannot be used must not keep the rest of a configuration from being in force: the old one stays, and it is logged. */
export async function renewCertificate(
  listener: Listener | undefined,
  tls: TlsConfig | undefined,
  log: Log,
): Promise<void> {
  if (listener === undefined || tls === undefined) return
  try {
    if (await listener.renew(tls)) log.info('new connections get the new certificate', { certificate: tls.certificate })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    log.error(`the certificate of ${listener.url} stays as it was: ${reason}`)
  }
}

function textOf({ where, path, message, fix }: Problem): string {
  const place = [where, path].filter((part) => part !== '').join(': ')
  return [place === '' ? message : `${place} ${message}`, fix].filter((part) => part !== undefined).join(' ')
}
