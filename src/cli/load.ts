import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblems } from '../config/problem.ts'
import { CommandError } from './error.ts'

export interface ConfigFlags {
  addr?: string
  data?: string
  authConfig?: string
  compat?: string
}

/** The configuration of a command; warnings go to standard error. @throws CommandError with every problem. */
export function configOf(file: string | undefined, flags: ConfigFlags): Config {
  const { config, problems, warnings } = loadConfig({
    ...(file === undefined ? {} : { file }),
    ...(flags.authConfig === undefined ? {} : { authFile: flags.authConfig }),
    ...(flags.compat === 'strict' ? { compat: 'strict' as const } : {}),
    env: process.env,
    flags: {
      ...(flags.addr === undefined ? {} : { addr: flags.addr }),
      ...(flags.data === undefined ? {} : { data: flags.data }),
    },
  })
  if (warnings.length > 0) process.stderr.write(formatProblems([], warnings))
  if (config === undefined)
    throw new CommandError(`the configuration cannot be used:\n${formatProblems(problems).trimEnd()}`)
  return config
}
