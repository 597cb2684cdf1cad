import { readFileSync } from 'node:fs'
import type { SignInConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import { unreadable } from './files.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { MAX_TIME_LIMIT, resolveSpan } from './span.ts'

/** Milliseconds that the original waits where the file says 0. */
const HTTP_TIMEOUT = 10_000

/** In docker_auth's order: google, github, oidc, gitlab. */
export function resolveSignIn(raw: DockerAuth, at: (key: string) => Path, places: Places): SignInConfig[] {
  const { google_auth: google, github_auth: github, oidc_auth: oidc, gitlab_auth: gitlab } = raw
  const all: SignInConfig[] = []
  if (google !== undefined) {
    const client = resolveClient(google, [], at('google_auth'), places)
    all.push({ kind: 'google', ...client, registryUrl: undefined, domain: google.domain || undefined })
  }
  if (github !== undefined) {
    const path = at('github_auth')
    all.push({
      kind: 'github',
      ...resolveClient(github, [], path, places),
      registryUrl: github.registry_url || undefined,
      organization: github.organization || undefined,
      webUri: resolveUrl(github.github_web_uri || 'https://github.com', [...path, 'github_web_uri'], places),
      apiUri: resolveUrl(github.github_api_uri || 'https://api.github.com', [...path, 'github_api_uri'], places),
      revalidateAfterMs: resolveRevalidation(github.revalidate_after, path, places),
    })
  }
  if (oidc !== undefined) all.push(resolveOidc(oidc, at('oidc_auth'), places))
  if (gitlab !== undefined) all.push(resolveGitlab(gitlab, at('gitlab_auth'), places))
  refuseSharedNames(raw, all, at, places)
  return all
}

/**
 * A directory that only users themselves may ask tells nobody which names it has, and it is asked after the providers:
 * whoever may sign in under any name could take that of an account there, and its rights. (A program is asked before them.)
 */
function refuseSharedNames(
  { ldap_auth: ldap }: DockerAuth,
  all: readonly SignInConfig[],
  at: (key: string) => Path,
  places: Places,
): void {
  if (ldap?.initial_bind_as_user !== true) return
  const path = [...at('ldap_auth'), 'initial_bind_as_user']
  const free = all.filter((one) => one.kind !== 'google' && !(one.kind === 'oidc' && one.userClaim === 'email'))
  if (free.length === 0) return
  const sections = free.map(({ kind }) => `${kind}_auth`).join(', ')
  const message = `does not tell which names the directory has, so people who sign in (${sections}) could take the name of an account there`
  const fix = 'Search with bind_dn and bind_password_file in place of this.'
  const isOpen = free.some((one) => 'organization' in one && one.organization === undefined)
  if (isOpen) places.problem(path, message, `${fix} Or let only members of an organization sign in.`)
  else places.warn(path, message, fix)
}

function resolveGitlab(gitlab: NonNullable<DockerAuth['gitlab_auth']>, path: Path, places: Places): SignInConfig {
  if (gitlab.grant_type && gitlab.grant_type !== 'authorization_code') {
    const message = `${JSON.stringify(gitlab.grant_type)} is no grant for sign-in in a browser`
    places.problem([...path, 'grant_type'], message, 'Write authorization_code, or remove the key.')
  }
  const redirect = gitlab.redirect_uri
  return {
    kind: 'gitlab',
    ...resolveClient(gitlab, [], path, places),
    registryUrl: gitlab.registry_url || undefined,
    organization: gitlab.organization || undefined,
    // docker_auth has these two the other way round, so that nobody gets along without writing both.
    webUri: resolveUrl(gitlab.gitlab_web_uri || 'https://gitlab.com', [...path, 'gitlab_web_uri'], places),
    apiUri: resolveUrl(gitlab.gitlab_api_uri || 'https://gitlab.com/api/v4', [...path, 'gitlab_api_uri'], places),
    redirectUri: redirect ? checkUrl(redirect, [...path, 'redirect_uri'], places) : undefined,
    revalidateAfterMs: resolveRevalidation(gitlab.revalidate_after, path, places),
  }
}

function resolveOidc(oidc: NonNullable<DockerAuth['oidc_auth']>, path: Path, places: Places): SignInConfig {
  const { issuer = '', redirect_url = '', labels_claims, label_claims } = oidc
  const client = resolveClient(oidc, ['issuer', 'redirect_url'], path, places)
  const hasLabelsClaims = isGiven(places.root, [...path, 'labels_claims'])
  if (hasLabelsClaims && label_claims.length > 0) {
    places.warn([...path, 'label_claims'], 'has no effect beside labels_claims', 'Keep labels_claims.')
  }
  const scopes = oidc.scopes.length > 0 ? oidc.scopes : ['openid', 'email']
  if (!scopes.includes('openid')) {
    const message = 'do not hold openid, without which a provider says nothing of who signed in'
    places.problem([...path, 'scopes'], message, 'Add openid.')
  }
  return {
    kind: 'oidc',
    ...client,
    registryUrl: oidc.registry_url || undefined,
    // The issuer is compared letter by letter (OpenID Connect Discovery section 4.3), so it stays as it is written.
    issuer: issuer === '' ? '' : checkUrl(issuer, [...path, 'issuer'], places),
    redirectUrl: redirect_url === '' ? '' : checkUrl(redirect_url, [...path, 'redirect_url'], places),
    userClaim: oidc.user_claim || 'email',
    labelsClaims: hasLabelsClaims ? labels_claims : label_claims,
    scopes,
  }
}

type RawClient = Pick<
  NonNullable<DockerAuth['google_auth']>,
  'client_id' | 'client_secret' | 'client_secret_file' | 'http_timeout'
>
type Client = Pick<SignInConfig, 'clientId' | 'clientSecret' | 'clientSecretFile' | 'httpTimeoutMs'>

/** @param more keys that are required besides, before the others in docker_auth's text */
function resolveClient<K extends string>(
  raw: RawClient & { [key in K]?: string | undefined },
  more: readonly K[],
  path: Path,
  places: Places,
): Client {
  const section = String(path.at(-1))
  const { client_id: id = '', client_secret: secret = '', client_secret_file: file = '' } = raw
  const missing: string[] = more.filter((key) => !raw[key])
  if (id === '') missing.push('client_id')
  if (secret !== '' && file !== '') {
    const message = 'is given besides client_secret, and it is not clear which of the two is meant'
    places.problem([...path, 'client_secret_file'], message, 'Keep one of the two.')
  } else if (file !== '') {
    const fault = faultOfSecret(file)
    if (fault !== undefined) places.problem([...path, 'client_secret_file'], `could not read ${file}: ${fault}`)
  } else if (secret === '') missing.push('client_secret')
  if (missing.length > 0) {
    const all = [...more, 'client_id', 'client_secret', 'level_token_db.path'].join(',')
    const given = `Give ${missing.join(', ')}; Berth needs no token database.`
    places.problem([...path, missing[0] ?? ''], `${section}.{${all}} are required`, given)
  }
  return {
    clientId: id,
    clientSecret: secret || undefined,
    clientSecretFile: file || undefined,
    httpTimeoutMs: resolveSpan(
      raw.http_timeout,
      [...path, 'http_timeout'],
      { zero: HTTP_TIMEOUT, most: MAX_TIME_LIMIT },
      places,
    ),
  }
}

/** The original reads the secret when it starts; so a file that is not there, or holds nothing, is found now. */
function faultOfSecret(file: string): string | undefined {
  const fault = unreadable(file)
  if (fault !== undefined) return `it ${fault}`
  try {
    return readFileSync(file, 'utf8').trim() === '' ? 'it is empty' : undefined
  } catch {
    return 'it cannot be read'
  }
}

/** 0 where the file does not say. */
function resolveRevalidation(text: string, path: Path, places: Places): number {
  return resolveSpan(text, [...path, 'revalidate_after'], { zero: 0 }, places)
}

/** A base URL, without slashes at its end. */
function resolveUrl(text: string, path: Path, places: Places): string {
  return checkUrl(text, path, places).replace(/\/+$/, '')
}

/** What was written is not repeated in the message: it may hold a password. */
function checkUrl(text: string, path: Path, places: Places): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url === undefined ||
    !/^https?:\/\//i.test(text) ||
    url.username !== '' ||
    url.password !== '' ||
    url.hash !== ''
  ) {
    places.problem(path, 'is no URL', 'Write one such as https://login.example.org.')
  }
  return text
}
