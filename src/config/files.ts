import { closeSync, constants, openSync, statSync } from 'node:fs'
import type { Config, TlsConfig, TokenServerConfig } from './config.ts'
import type { Problem } from './problem.ts'

/** What keeps a file from being read, to follow its path in a sentence; undefined when nothing does. */
export function unreadable(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return 'is a folder, not a file'
    // access(2) would leave out what a capability opens. A pipe is not waited for.
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read'
  }
}

/** Files that the configuration names and `serve` would not start without, and (warnings) those that it waits for. */
export function missingFiles(config: Config): { problems: Problem[]; warnings: Problem[] } {
  const note = 'Nobody can log in until it is there; make it with: berth htpasswd add FILE USER'
  return {
    problems: problemsOf(neededFiles(config), 'Name a file that the server may read.'),
    warnings: problemsOf(passwordFiles(config), note),
  }
}

type Readers = Pick<Config, 'tokenServer'> & Partial<Pick<Config, 'auth' | 'http'>>

/** Files that a server reads, whether they are there or not, besides the configuration's own. */
export function readFiles(config: Readers): string[] {
  const named = [...neededFiles(config), ...passwordFiles(config)].map(([, path]) => path)
  return [...new Set(named.filter((path) => path !== undefined))]
}

function neededFiles({ auth, http, tokenServer }: Readers): [string, string | undefined][] {
  return [
    ...tlsFiles('http.tls', http?.tls),
    ...(auth?.kind === 'token' ? trustFiles(auth) : []),
    ...(tokenServer === undefined ? [] : tokenServerFiles(tokenServer)),
  ]
}

function passwordFiles({ auth, tokenServer }: Readers): [string, string | undefined][] {
  return [
    ['auth.htpasswd.path', auth?.kind === 'htpasswd' ? auth.path : undefined],
    ['tokenserver.htpasswd.path', tokenServer?.htpasswd],
  ]
}

/**
 * Files that a running server reads again when they change, besides the configuration's own: certificates and keys, and what is
 * read once when a source is made. Sources that look at their files themselves are not among them.
 */
export function watchedFiles({ auth, http, tokenServer }: Readers): string[] {
  const named = [
    ...tlsFiles('http.tls', http?.tls).map(([, path]) => path),
    ...(auth?.kind === 'token' ? [auth.rootCertBundle, auth.jwks] : []),
    ...(tokenServer === undefined ? [] : tokenServerFiles(tokenServer).map(([, path]) => path)),
    tokenServer?.mongoUsers?.passwordFile,
    tokenServer?.aclMongo?.passwordFile,
  ]
  return [...new Set(named.filter((path) => path !== undefined))]
}

/** What the operator made; a certificate that Berth itself makes comes when it comes. */
function tlsFiles(section: 'http.tls' | 'server', tls: TlsConfig | undefined): [string, string | undefined][] {
  if (tls === undefined) return []
  const { certificate, key, managed, clients } = tls
  const pair: [string, string | undefined][] =
    managed === undefined
      ? [
          [`${section}.certificate`, certificate],
          [`${section}.key`, key],
        ]
      : managed.kind === 'acme'
        ? [[`${section}.letsencrypt.directoryca`, managed.directoryCa]]
        : []
  const authorities = clients?.authorities ?? []
  return [...pair, ...authorities.map((path, index): [string, string] => [`${section}.clientcas[${index}]`, path])]
}

function trustFiles(auth: Extract<Config['auth'], { kind: 'token' }>): [string, string | undefined][] {
  return [
    ['auth.token.rootcertbundle', auth.rootCertBundle],
    ['auth.token.jwks', auth.jwks],
  ]
}

function tokenServerFiles(config: TokenServerConfig): [string, string | undefined][] {
  const { tls, certificate, key, ldap, casbin, mongoUsers, aclMongo } = config
  return [
    ...tlsFiles('server', tls),
    ['token.certificate', certificate],
    ['token.key', key],
    ['ldap_auth.ca_certificate', ldap?.caCertificate],
    ['ldap_auth.bind_password_file', ldap?.bindPasswordFile],
    ['casbin_authz.model_path', casbin?.model],
    ['casbin_authz.policy_path', casbin?.policy],
    ['mongo_auth.dial_info.password_file', mongoUsers?.passwordFile],
    ['acl_mongo.dial_info.password_file', aclMongo?.passwordFile],
  ]
}

function problemsOf(files: readonly (readonly [string, string | undefined])[], fix: string): Problem[] {
  return files.flatMap(([key, path]) => {
    const fault = path === undefined ? undefined : unreadable(path)
    return fault === undefined ? [] : [{ where: '', path: key, message: `${path} ${fault}`, fix }]
  })
}
