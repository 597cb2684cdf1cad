import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fileKind } from '../config/file-kind.ts'
import type { Flags } from '../config/load.ts'
import { choosePath, defaultPath } from './config-path.ts'
import { berthWords, registryWords } from './original-words.ts'

/** How a server was started. */
export interface ServerCommand {
  verb: 'serve' | 'auth' | 'registry'
  file: string | undefined
  authConfig: string | undefined
  flags: Flags
}

/** The configuration that a server reads; undefined: none. */
export function configPathOf(
  { verb, file }: ServerCommand,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return choosePath(file, env).path ?? (verb === 'registry' ? defaultPath() : undefined)
}

/** The servers that run here, by their command lines: those of a container are its own. Process 1 stands for a container. */
export function runningServers(proc = '/proc'): ServerCommand[] {
  const ids = readdirSync(proc).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const first = ids.includes('1') ? serverOf(commandLine(proc, '1')) : undefined
  if (first !== undefined) return [first]
  return ids.flatMap((id) => serverOf(commandLine(proc, id)) ?? [])
}

/** Empty when the process has ended meanwhile. */
function commandLine(proc: string, id: string): string[] {
  try {
    return readFileSync(`${proc}/${id}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** Undefined for the command line of any other program, and of a command that is no server. */
export function serverOf(command: readonly string[], kindOf: typeof fileKind = fileKind): ServerCommand | undefined {
  const args = argumentsOf(command)
  if (args === undefined) return undefined
  if (args[0] === 'registry') {
    const [second, ...rest] = registryWords(args.slice(1))
    return second === 'serve' ? read('registry', rest) : undefined
  }
  const [verb, ...rest] = wordsOf(args, kindOf)
  return verb === 'serve' || verb === 'auth' ? read(verb, rest) : undefined
}

function wordsOf(args: readonly string[], kindOf: typeof fileKind): string[] {
  try {
    return berthWords(args, () => false, kindOf).args
  } catch {
    // No server came of it.
    return []
  }
}

/** What stands behind the program: the executable, or the runtime with main.ts or its bundle. */
function argumentsOf(command: readonly string[]): readonly string[] | undefined {
  const name = command[0]?.split('/').at(-1) ?? ''
  if (/^berth(-linux-\w+)?$/.test(name)) return command.slice(1)
  if (!/^bun(\.exe)?$/.test(name)) return undefined
  const script = command.findIndex((one) => /\/(src\/main\.ts|dist\/bundle\/main\.js)$/.test(one))
  return script === -1 ? undefined : command.slice(script + 1)
}

function read(verb: ServerCommand['verb'], args: readonly string[]): ServerCommand {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    ...{ strict: false, allowPositionals: true },
    options: {
      ...{ addr: text, data: text, 'auth-config': text, tls: text, compat: text },
      'tls-name': { type: 'string', multiple: true },
    },
  })
  const given = (name: 'addr' | 'data' | 'auth-config') => {
    const value = values[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    verb,
    file: positionals[0],
    authConfig: given('auth-config'),
    flags: { addr: given('addr'), data: given('data'), tls: values.tls === 'auto' ? 'auto' : undefined },
  }
}
