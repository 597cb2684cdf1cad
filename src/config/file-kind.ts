import { createFindings } from './problem.ts'
import { readConfigFile } from './read-file.ts'

/** Keys that docker_auth's format requires, and distribution's does not have. */
const TOKEN_SERVER_KEYS = ['server', 'token']

/**
 * Whose format a file is in. distribution's begins with its version (configuration/parser.go); docker_auth's has neither that
 * nor does without `server` and `token` (server/config.go). What cannot be told counts as distribution's, whose reader says
 * what is wrong with it.
 */
export function fileKind(path: string): 'registry' | 'token server' {
  const root = readConfigFile(path, [], createFindings(), { authFile: path, strict: false })
  if (root === undefined || root.entries.has('version')) return 'registry'
  return TOKEN_SERVER_KEYS.some((key) => root.entries.has(key)) ? 'token server' : 'registry'
}
