import { type Stats, statSync } from 'node:fs'
import { kindOfNamed } from '../../config/file-kind.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { shellWord } from '../table.ts'
import type { ServerFlags } from './doctor-server.ts'

/** Files in each other's place would be a fault for each of their keys. @throws UpstreamError `usage` */
export function mustBeInPlace({ config, authConfig }: ServerFlags): void {
  if (config !== undefined && authConfig !== undefined && isSame(config, authConfig)) {
    throw usage(
      `${config} is named twice: it is ${kindOfNamed(config) === 'token server' ? "the token server's" : "the registry's"} configuration`,
      'a token server without a file of its own is described by tokenserver: in that of the registry: leave out --auth-config',
    )
  }
  const wrong = {
    config: config !== undefined && kindOfNamed(config) === 'token server',
    authConfig: authConfig !== undefined && kindOfNamed(authConfig) === 'registry',
  }
  if (!wrong.config && !wrong.authConfig) return
  const flags = [
    ...(authConfig === undefined ? [] : [`--config ${shellWord(authConfig)}`]),
    ...(config === undefined ? [] : [`--auth-config ${shellWord(config)}`]),
  ].join(' ')
  if (wrong.config && wrong.authConfig) {
    throw usage("--config and --auth-config name each other's file", `berth doctor ${flags}`)
  }
  const [flag, file, owner] = wrong.config
    ? ['--config', config, "the token server's configuration (docker_auth's format), and not the registry's"]
    : ['--auth-config', authConfig, "the registry's configuration, and not the token server's (docker_auth's format)"]
  const both = config !== undefined && authConfig !== undefined
  throw usage(`${flag}: ${file} is ${owner}`, both ? 'name the other file there' : `berth doctor ${flags}`)
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [statOf(one), statOf(other)]
  return a?.isFile() === true && a.ino === b?.ino && a.dev === b.dev
}

/** What cannot be looked at is a finding of its own. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function usage(message: string, hint: string): UpstreamError {
  return new UpstreamError('usage', message, { hint })
}
