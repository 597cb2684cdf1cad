import { statSync } from 'node:fs'
import { createFindings } from './problem.ts'
import { readConfigFile } from './read-file.ts'

/** Keys that docker_auth's format requires, and distribution's does not have. */
const TOKEN_SERVER_KEYS = ['server', 'token']

/** Keys that distribution's has, and docker_auth's does not. */
const REGISTRY_KEYS = ['storage', 'http']

/**
 * Whose format a file is in. distribution's begins with its version (configuration/parser.go); docker_auth's has neither that
 * nor does without `server` and `token` (server/config.go). What cannot be told counts as distribution's, whose reader says
 * what is wrong with it.
 */
export function fileKind(path: string): 'registry' | 'token server' {
  return toldKind(path) ?? 'registry'
}

/** The same; undefined where it cannot be told. */
export function toldKind(path: string): 'registry' | 'token server' | undefined {
  const root = readConfigFile(path, [], createFindings(), { authFile: path, strict: false })
  const has = (keys: readonly string[]) => keys.some((key) => root?.entries.has(key))
  if (has(['version'])) return 'registry'
  if (has(TOKEN_SERVER_KEYS)) return 'token server'
  return has(REGISTRY_KEYS) ? 'registry' : undefined
}

/** The same of whatever somebody named; undefined, too: it is no file that may be read twice, or cannot be looked at. */
export function kindOfNamed(path: string): 'registry' | 'token server' | undefined {
  try {
    return statSync(path).isFile() ? toldKind(path) : undefined
  } catch {
    // Whoever reads it says what is wrong.
    return undefined
  }
}
