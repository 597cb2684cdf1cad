import type { AuthConfig, TokenServerConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { isGiven, nodeAt } from './node.ts'
import type { Places } from './places.ts'
import { builtInTokenServer, DEFAULT_ISSUER, resolveTokenServer } from './resolve-token-server.ts'

const DEFAULT_SERVICE = 'Berth'
/** Both are served by the token server. */
const OWN_PATHS = ['/auth', '/auth/token']
/** Path that the original answers tokens at when it redirects to itself. */
const AUTO_REDIRECT_PATH = '/auth/token'

const ALGORITHMS = ['EdDSA', 'HS', 'RS', 'ES', 'PS'].flatMap((family) =>
  family === 'EdDSA' ? [family] : ['256', '384', '512'].map((size) => family + size),
)

export interface AuthResult {
  auth: AuthConfig
  tokenServer: TokenServerConfig | undefined
}

/** Which kind of authentication is asked for, and the token server that goes with it. */
export function resolveAuth(raw: Distribution, isAuthFile: boolean, places: Places): AuthResult {
  const { root } = places
  const node = nodeAt(root, ['auth'])
  const kinds = node?.kind === 'map' ? [...node.entries.keys()].filter((key) => key !== 'anonymous') : []
  if (kinds.length > 1) {
    const fix = 'Keep one, and remove the others from the file or the environment.'
    places.problem(['auth'], `must provide exactly one type. Provided: [${kinds.join(' ')}]`, fix)
  }
  const none = nodeAt(root, ['auth', 'none'])
  // An empty variable is one that somebody forgot to set; in a file `none:` is how it is written.
  const isMeant = none?.at.kind === 'environment' ? [true] : [null, true]
  if (none?.kind === 'scalar' && !isMeant.some((value) => value === none.value)) {
    places.problem(
      ['auth', 'none'],
      `is ${none.text || 'empty'}, yet its presence alone opens the registry to everyone`,
      'Remove it, or write auth: none.',
    )
  }
  const anonymous = raw.auth?.anonymous ?? 'none'
  const isTokenServer = isGiven(root, ['tokenserver'])
  const input = { isFile: isAuthFile, issuer: raw.auth?.token?.issuer || undefined, anonymous }
  const tokenServer =
    isTokenServer && raw.tokenserver !== undefined ? resolveTokenServer(raw.tokenserver, input, places) : undefined

  const isToken =
    kinds.includes('token') || (kinds.length === 0 && (isTokenServer || isGiven(root, ['auth', 'anonymous'])))
  if (isToken) return resolveToken(raw, anonymous, tokenServer, places)
  if (isTokenServer) {
    const message = `auth is ${kinds.includes('htpasswd') ? 'htpasswd' : 'none'}, so the registry asks for no tokens of the token server`
    places.warn(['auth', ...kinds.slice(0, 1)], message, 'Use auth.token, or remove the token server.')
  }
  if (kinds.includes('htpasswd')) return { auth: resolveHtpasswd(raw, anonymous, places), tokenServer }
  if (kinds.length === 0) {
    places.warn(
      ['auth'],
      'no authentication is configured: anyone who can reach the registry may push and delete',
      'Add auth.token, auth.htpasswd, or auth: {anonymous: pull}; write auth: none if that is meant.',
    )
  }
  return { auth: { kind: 'none', anonymous }, tokenServer }
}

function resolveHtpasswd(raw: Distribution, anonymous: AuthConfig['anonymous'], places: Places): AuthConfig {
  const { realm = '', path = '' } = raw.auth?.htpasswd ?? {}
  if (realm === '') places.problem(['auth', 'htpasswd', 'realm'], '"realm" must be set for htpasswd access controller')
  if (path === '') places.problem(['auth', 'htpasswd', 'path'], '"path" must be set for htpasswd access controller')
  return { kind: 'htpasswd', anonymous, realm, path }
}

function resolveToken(
  raw: Distribution,
  anonymous: AuthConfig['anonymous'],
  described: TokenServerConfig | undefined,
  places: Places,
): AuthResult {
  const token = raw.auth?.token
  const at = (key: string): string[] => ['auth', 'token', key]
  const rootCertBundle = token?.rootcertbundle || undefined
  const jwks = token?.jwks || undefined
  const isForeign = described === undefined && (rootCertBundle !== undefined || jwks !== undefined)
  const autoRedirect = token?.autoredirect === true
  if (isForeign) {
    for (const key of ['realm', 'issuer', 'service'] as const) {
      if (token?.[key] || (key === 'realm' && autoRedirect)) continue
      const fix = 'It is what the token server says of itself.'
      places.problem(at(key), `token auth requires a valid option string: "${key}"`, fix)
    }
  }
  const redirectPath = token?.autoredirectpath || undefined
  if (redirectPath !== undefined) checkRedirectPath(redirectPath, isForeign, autoRedirect, places)

  const tokenServer = isForeign
    ? undefined
    : (described ?? builtInTokenServer(token?.issuer || DEFAULT_ISSUER, anonymous))
  const issuer = token?.issuer || tokenServer?.issuer || DEFAULT_ISSUER
  if (described !== undefined && issuer !== described.issuer) {
    checkIssuers(issuer, described.issuer, rootCertBundle !== undefined || jwks !== undefined, places)
  }
  const signingAlgorithms = token?.signingalgorithms ?? []
  for (const [index, algorithm] of signingAlgorithms.entries()) {
    if (ALGORITHMS.includes(algorithm)) continue
    places.problem(
      [...at('signingalgorithms'), index],
      `unknown signing algorithm ${algorithm}`,
      `Known are ${ALGORITHMS.join(', ')}.`,
    )
  }
  return {
    auth: {
      kind: 'token',
      anonymous,
      realm: autoRedirect ? undefined : token?.realm || undefined,
      ...(isForeign && autoRedirect ? { realmPath: redirectPath ?? AUTO_REDIRECT_PATH } : {}),
      service: token?.service || DEFAULT_SERVICE,
      issuer,
      rootCertBundle,
      jwks,
      signingAlgorithms: signingAlgorithms.length === 0 ? undefined : signingAlgorithms,
    },
    tokenServer,
  }
}

function checkRedirectPath(path: string, isForeign: boolean, autoRedirect: boolean, places: Places): void {
  const key = ['auth', 'token', 'autoredirectpath']
  if (!autoRedirect) places.warn(key, 'has no effect unless autoredirect is true')
  else if (!path.startsWith('/')) places.problem(key, 'must begin with a slash')
  else if (!isForeign && !OWN_PATHS.includes(path.replace(/\/$/, ''))) {
    places.problem(key, `Berth's token server does not answer at ${path}`, `Write ${OWN_PATHS.join(' or ')}.`)
  }
}

function checkIssuers(expected: string, issued: string, isForeignPlausible: boolean, places: Places): void {
  const path = ['auth', 'token', 'issuer']
  const theirs = ['tokenserver', 'token', 'issuer']
  const message =
    `the registry expects tokens issued by ${JSON.stringify(expected)}, but the token server issues them as ` +
    `${JSON.stringify(issued)} (${places.where(theirs)}: ${places.name(theirs)})`
  if (isForeignPlausible) places.warn(path, `${message}; tokens of this token server are not accepted`)
  else places.problem(path, message, 'Make both the same.')
}
