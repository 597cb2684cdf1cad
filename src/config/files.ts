import { accessSync, constants, statSync } from 'node:fs'
import type { Config, TokenServerConfig } from './config.ts'
import type { Problem } from './problem.ts'

/** What keeps a file from being read, to follow its path in a sentence; undefined when nothing does. */
export function unreadable(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return 'is a folder, not a file'
    accessSync(path, constants.R_OK)
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read'
  }
}

/** Files that the configuration names and `serve` would not start without, and (warnings) those that it waits for. */
export function missingFiles(config: Config): { problems: Problem[]; warnings: Problem[] } {
  const { auth, http, tokenServer } = config
  const needed: [string, string | undefined][] = [
    ['http.tls.certificate', http.tls?.certificate],
    ['http.tls.key', http.tls?.key],
    ...(auth.kind === 'token' ? trustFiles(auth) : []),
    ...(tokenServer === undefined ? [] : tokenServerFiles(tokenServer)),
  ]
  return {
    problems: problemsOf(needed, 'Name a file that the server may read.'),
    warnings: problemsOf(
      auth.kind === 'htpasswd' ? [['auth.htpasswd.path', auth.path]] : [],
      'Nobody can log in until it is there; make it with: htpasswd -Bc FILE USER',
    ),
  }
}

function trustFiles(auth: Extract<Config['auth'], { kind: 'token' }>): [string, string | undefined][] {
  return [
    ['auth.token.rootcertbundle', auth.rootCertBundle],
    ['auth.token.jwks', auth.jwks],
  ]
}

function tokenServerFiles({ tls, certificate, key }: TokenServerConfig): [string, string | undefined][] {
  return [
    ['server.certificate', tls?.certificate],
    ['server.key', tls?.key],
    ['token.certificate', certificate],
    ['token.key', key],
  ]
}

function problemsOf(files: readonly (readonly [string, string | undefined])[], fix: string): Problem[] {
  return files.flatMap(([key, path]) => {
    const fault = path === undefined ? undefined : unreadable(path)
    return fault === undefined ? [] : [{ where: '', path: key, message: `${path} ${fault}`, fix }]
  })
}
