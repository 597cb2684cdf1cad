import { accessSync, constants, statSync } from 'node:fs'
import type { CommandConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { MAX_TIME_LIMIT, resolveSpan } from './span.ts'

/** `ext_auth` or `ext_authz` (the last word of the path): the program must be there when the file is read, as in docker_auth. */
export function resolveCommand(raw: NonNullable<DockerAuth['ext_auth']>, path: Path, places: Places): CommandConfig {
  const key = String(path.at(-1))
  const { command = '' } = raw
  if (command === '') places.problem([...path, 'command'], `bad ${key} config: command is not set`)
  else {
    const fault = faultOf(command)
    if (fault !== undefined) {
      const name = JSON.stringify(command)
      places.problem([...path, 'command'], `bad ${key} config: invalid command ${name}: exec: ${name}: ${fault}`)
    }
  }
  return {
    command,
    args: raw.args,
    timeoutMs: resolveSpan(raw.timeout, [...path, 'timeout'], { most: MAX_TIME_LIMIT }, places),
    maxChildren: raw.maxchildren,
  }
}

/** What Go's exec.LookPath says against a command; undefined when it can be run. */
function faultOf(command: string): string | undefined {
  if (command.includes('\0')) return 'invalid argument'
  if (!command.includes('/')) return Bun.which(command) === null ? 'executable file not found in $PATH' : undefined
  try {
    if (statSync(command).isDirectory()) return 'is a directory'
    accessSync(command, constants.X_OK)
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    return code === 'EACCES' ? 'permission denied' : `stat ${command}: no such file or directory`
  }
}
