import type { Config } from '../config/config.ts'
import { type Loaded, type LoadInput, loadConfig, loadTokenServer } from '../config/load.ts'
import { formatProblems } from '../config/problem.ts'
import type { ConfigSource } from '../run-reload.ts'
import type { TokenServerSetup } from '../run-token.ts'
import { CommandError } from './error.ts'
import { say } from './standard-streams.ts'

export interface ConfigFlags {
  addr?: string
  data?: string
  authConfig?: string
  compat?: string
  tls?: 'auto'
  tlsName?: string[]
}

/** What `load.ts` of the configuration is asked with, from a command's arguments. */
function inputOf(file: string | undefined, flags: ConfigFlags): LoadInput {
  return {
    ...(file === undefined ? {} : { file }),
    ...(flags.authConfig === undefined ? {} : { authFile: flags.authConfig }),
    ...(flags.compat === 'strict' ? { compat: 'strict' as const } : {}),
    env: process.env,
    flags: {
      ...(flags.addr === undefined ? {} : { addr: flags.addr }),
      ...(flags.data === undefined ? {} : { data: flags.data }),
      ...(flags.tls === undefined ? {} : { tls: flags.tls }),
      ...(flags.tlsName === undefined ? {} : { tlsNames: flags.tlsName }),
    },
  }
}

/** The configuration of a command; warnings go to standard error. @throws CommandError with every problem. */
export function configOf(file: string | undefined, flags: ConfigFlags): Config {
  return accepted(loadConfig(inputOf(file, flags)))
}

/** How a running server reads the same configuration again. */
export function sourceOf(file: string | undefined, flags: ConfigFlags): ConfigSource<Config> {
  const files = [file, flags.authConfig].filter((path) => path !== undefined)
  return { files, load: () => loadConfig(inputOf(file, flags)) }
}

/** As `configOf`, for the token server alone. */
export function tokenConfigOf(file: string, flags: ConfigFlags): TokenServerSetup & { dataGiven: boolean } {
  const loaded = loadTokenServer({ ...inputOf(undefined, flags), authFile: file })
  return { ...accepted(loaded), dataGiven: loaded.dataGiven }
}

export function tokenSourceOf(file: string, flags: ConfigFlags): ConfigSource<TokenServerSetup> {
  return { files: [file], load: () => loadTokenServer({ ...inputOf(undefined, flags), authFile: file }) }
}

function accepted<C>({ config, problems, warnings }: Loaded & { config: C | undefined }): C {
  if (warnings.length > 0) say(formatProblems([], warnings))
  if (config === undefined)
    throw new CommandError(`the configuration cannot be used:\n${formatProblems(problems).trimEnd()}`)
  return config
}
