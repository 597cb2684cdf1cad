import { type Access, formatScope } from '../oci/scope.ts'
import { bytesOf } from './body.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credential, Credentials } from './credentials.ts'
import { UpstreamError } from './error.ts'
import { isLoopback, type Transport } from './transport.ts'

export interface Authorization {
  /**
   * Value of the Authorization header for these rights on a registry; undefined: it asks for none. `repository` decides which
   * credentials are used. @throws UpstreamError `unauthorized` when the token server refuses
   */
  headerFor(target: Target): Promise<string | undefined>
  /**
   * Learns from a 401 what was asked for; the header to try once more with, or undefined when that would change nothing.
   * `sent`: the header that was not enough. @throws UpstreamError
   */
  answer(target: Target, response: Response, sent: string | undefined): Promise<string | undefined>
  /** A token as the token server answers it. @throws UpstreamError, also where the registry has no token server */
  token(target: Target): Promise<Token>
  /** Whether the credentials are accepted. @throws UpstreamError `unauthorized` */
  check(registry: string): Promise<void>
  /**
   * As `check`; resolves to a refresh token to keep in place of the password, where the token server gives one.
   * @throws UpstreamError `unauthorized`
   */
  login(registry: string): Promise<string | undefined>
  /** As whom a registry is asked: a name, empty where there is a token alone; undefined: nobody is logged in. */
  accountOf(target: Pick<Target, 'registry' | 'repository'>): Promise<string | undefined>
  /** How a registry lets people in: the challenges of its `/v2/`; none for an open one. @throws UpstreamError */
  challenges(registry: string): Promise<readonly Challenge[]>
}

export interface Target {
  registry: string
  repository?: string | undefined
  needed: readonly Access[]
}

export interface Token {
  token: string
  /** To ask for further tokens with, in place of the password; where the server gives one. */
  refreshToken: string | undefined
  /** Milliseconds since the epoch. */
  expiresAt: number
}

interface KeptToken extends Token {
  /** Whether it was asked for once and taken from here since. */
  isReused?: true
}

export interface AuthorizationOptions {
  transport: Transport
  credentials: Pick<Credentials, 'find'>
  insecure?: boolean
  /** Milliseconds since the epoch. */
  now: () => number
}

/** Name of the client, which token servers keep beside a refresh token. */
const CLIENT_ID = 'berth'
/** Bytes of an answer that are taken from a token server; tokens have a few thousand. */
const MAX_TOKEN = 1024 * 1024
/** Tokens that are kept: whoever looks at each of a hundred thousand repositories has one for each. */
const MOST_TOKENS = 256
/** Seconds, where a token server names no other (distribution, "Docker Registry v2 authentication: token"). */
const DEFAULT_LIFE = 60
/** Milliseconds before its end in which a token is not used any more. */
const MARGIN = 10_000

/** The token flow of distribution ("Docker Registry v2 authentication"), and Basic. Tokens are kept until they end. */
export function createAuthorization({
  transport,
  credentials,
  insecure = false,
  now,
}: AuthorizationOptions): Authorization {
  const known = new Map<string, Promise<Challenge[]>>()
  const tokens = new Map<string, KeptToken>()
  /** Headers with tokens that ended before their time. */
  const ended = new Set<string>()

  async function ask(registry: string): Promise<Challenge[]> {
    const url = `${await transport.baseOf(registry)}/v2/`
    const response = await transport.send(registry, { method: 'GET', url })
    await response.body?.cancel()
    if (response.status === 401) return parseChallenges(response.headers.get('www-authenticate'))
    if (response.ok) return []
    throw new UpstreamError('invalid', `${registry} does not answer as a registry does: ${url} is ${response.status}`, {
      status: response.status,
      hint:
        response.status === 400 && url.startsWith('http:')
          ? 'where the registry speaks TLS leave out --plain-http'
          : 'is this the address of a registry?',
    })
  }

  function challenges(registry: string): Promise<Challenge[]> {
    const found = known.get(registry) ?? ask(registry)
    known.set(registry, found)
    found.catch(() => known.delete(registry))
    return found
  }

  async function header(target: Target, found: readonly Challenge[], scope: string): Promise<string | undefined> {
    const { registry, repository } = target
    const bearer = found.find(({ scheme }) => scheme === 'bearer')
    if (bearer !== undefined) {
      const credential = await credentials.find(registry, repository)
      if (credential?.kind === 'registry-token') return `Bearer ${credential.token}`
      return `Bearer ${(await tokenFor(registry, bearer, scope, credential)).token}`
    }
    const credential = await credentials.find(registry, repository)
    return found.some(({ scheme }) => scheme === 'basic') && credential?.kind === 'password'
      ? basic(credential)
      : undefined
  }

  async function tokenFor(
    registry: string,
    { parameters }: Challenge,
    scope: string,
    credential: Credential | undefined,
  ): Promise<Token> {
    const service = parameters.get('service') ?? ''
    const realm = await realmOf(registry, parameters.get('realm') ?? '', credential !== undefined)
    const key = JSON.stringify([realm, service, scope, credential])
    const kept = tokens.get(key)
    if (kept !== undefined && kept.expiresAt - MARGIN > now()) {
      kept.isReused = true
      return kept
    }
    const token = await fetchToken(registry, realm, service, scope, credential)
    tokens.set(key, token)
    const [oldest] = tokens.keys()
    if (tokens.size > MOST_TOKENS && oldest !== undefined) tokens.delete(oldest)
    return token
  }

  /** @throws UpstreamError for a realm that is no address, or to which a secret must not go */
  async function realmOf(registry: string, realm: string, isSecret: boolean): Promise<string> {
    const base = await transport.baseOf(registry)
    const url = URL.parse(realm)
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new UpstreamError(
        'invalid',
        `${registry} names ${JSON.stringify(realm.slice(0, 200))} as its token server, which is no address`,
        {
          hint: 'mend auth.token.realm in the configuration of the registry',
        },
      )
    }
    const goesPlain = url.protocol === 'http:' && base.startsWith('https:') && !isLoopback(url.hostname)
    if (goesPlain && isSecret && !insecure) {
      throw new UpstreamError(
        'tls',
        `${registry} speaks HTTPS, but its token server ${realm.slice(0, 200)} does not: a password would go there in clear`,
        {
          hint: 'mend auth.token.realm in the configuration of the registry, or say --insecure',
        },
      )
    }
    return realm
  }

  async function fetchToken(
    registry: string,
    realm: string,
    service: string,
    scope: string,
    credential: Credential | undefined,
    isOffline = false,
  ): Promise<Token> {
    const scopes = scope === '' ? [] : scope.split(' ')
    // docker trusts the token server by the registry's own folder of certificates (moby, registry/auth.go).
    let response: Response
    try {
      response =
        credential?.kind === 'identity-token'
          ? await transport.send(registry, {
              method: 'POST',
              url: realm,
              headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
              body: () =>
                new URLSearchParams({
                  grant_type: 'refresh_token',
                  service,
                  client_id: CLIENT_ID,
                  refresh_token: credential.token,
                  ...(scope === '' ? {} : { scope }),
                }).toString(),
              repeatable: true,
            })
          : await transport.send(registry, {
              method: 'GET',
              url: withQuery(realm, service, scopes, credential, isOffline),
              ...(credential?.kind === 'password' ? { headers: { Authorization: basic(credential) } } : {}),
            })
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      throw new UpstreamError(error.fault, `the token server of ${registry} cannot be asked: ${error.message}`, {
        hint: error.hint ?? `berth doctor ${registry} looks closer`,
        cause: error,
      })
    }
    const answer = `the token server of ${registry}`
    const text = new TextDecoder().decode(await bytesOf(response, answer, MAX_TOKEN))
    if (!response.ok) throw refused(registry, response.status, credential, text)
    return tokenIn(registry, text, now())
  }

  async function enter(registry: string, isOffline: boolean): Promise<string | undefined> {
    const found = await challenges(registry)
    const credential = await credentials.find(registry)
    const bearer = found.find(({ scheme }) => scheme === 'bearer')
    let authorized: string | undefined
    let refreshToken: string | undefined
    if (bearer !== undefined && credential?.kind !== 'registry-token') {
      const service = bearer.parameters.get('service') ?? ''
      const realm = await realmOf(registry, bearer.parameters.get('realm') ?? '', credential !== undefined)
      const token = await fetchToken(registry, realm, service, '', credential, isOffline)
      authorized = `Bearer ${token.token}`
      refreshToken = token.refreshToken
    } else authorized = await header({ registry, needed: [] }, found, '')
    const url = `${await transport.baseOf(registry)}/v2/`
    const headers: Record<string, string> = authorized === undefined ? {} : { Authorization: authorized }
    const response = await transport.send(registry, { method: 'GET', url, headers })
    await response.body?.cancel()
    if (response.ok) return refreshToken
    const source = credential?.source ?? 'nobody'
    throw response.status === 401 || response.status === 403
      ? new UpstreamError('unauthorized', `${registry} does not accept the credentials of ${source}`, {
          status: response.status,
          hint: `berth login ${registry}`,
        })
      : new UpstreamError('failed', `${registry} answers ${response.status} to ${url}`, { status: response.status })
  }

  /** A token of before may have ended early: its key was changed, or it lives shorter than we were told. */
  function forget(sent: string | undefined, found: readonly Challenge[]): boolean {
    const isTooWeak = found.some(({ parameters }) => parameters.get('error') === 'insufficient_scope')
    if (sent === undefined || isTooWeak) return false
    for (const [key, { token, isReused }] of tokens) {
      if (sent !== `Bearer ${token}`) continue
      tokens.delete(key)
      if (isReused) ended.add(sent)
    }
    // Other requests that were under way with it learn so, too.
    return ended.has(sent)
  }

  return {
    challenges,
    login: (registry) => enter(registry, true),
    async check(registry) {
      await enter(registry, false)
    },
    async headerFor(target) {
      const found = await challenges(target.registry)
      return found.length === 0 ? undefined : await header(target, found, formatScope(target.needed))
    },
    async accountOf({ registry, repository }) {
      const credential = await credentials.find(registry, repository)
      return credential?.kind === 'registry-token' ? '' : credential?.username
    },
    async answer(target, response, sent) {
      const found = parseChallenges(response.headers.get('www-authenticate'))
      const asked = found.find(({ scheme }) => scheme === 'bearer')?.parameters.get('scope')
      const before = await challenges(target.registry)
      const isOther = before.length === 0 || (asked !== undefined && asked !== formatScope(target.needed))
      const isNews = forget(sent, found) || isOther
      if (found.length === 0 || !isNews) return undefined
      return await header(target, found, asked ?? formatScope(target.needed))
    },
    async token(target) {
      const bearer = (await challenges(target.registry)).find(({ scheme }) => scheme === 'bearer')
      if (bearer === undefined) throw new UpstreamError('unsupported', `${target.registry} has no token server`)
      const credential = await credentials.find(target.registry, target.repository)
      return await tokenFor(target.registry, bearer, formatScope(target.needed), credential)
    },
  }
}

/** A header's value (RFC 7617). */
export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function withQuery(
  realm: string,
  service: string,
  scopes: readonly string[],
  credential: Credential | undefined,
  isOffline: boolean,
): string {
  const url = new URL(realm)
  if (service !== '') url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential?.kind === 'password') url.searchParams.set('account', credential.username)
  url.searchParams.set('client_id', CLIENT_ID)
  if (isOffline) url.searchParams.set('offline_token', 'true')
  return url.href
}

function refused(registry: string, status: number, credential: Credential | undefined, text: string): UpstreamError {
  const words = text.trim().split('\n', 1)[0]?.slice(0, 200) ?? ''
  if (status !== 401 && status !== 403) {
    return new UpstreamError(
      status === 429 ? 'throttled' : 'failed',
      `the token server of ${registry} answers ${status}: ${words}`,
      { status },
    )
  }
  const message =
    credential === undefined
      ? `${registry} lets nobody in without logging in`
      : `the token server of ${registry} does not accept the credentials of ${credential.source}`
  return new UpstreamError('unauthorized', message, { status, hint: `berth login ${registry}` })
}

function tokenIn(registry: string, text: string, now: number): Token {
  let json: Record<string, unknown> = {}
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch {
    // Said below: what is no JSON has no token either.
  }
  const token = json?.token || json?.access_token
  if (typeof token !== 'string' || token === '') {
    throw new UpstreamError('invalid', `the token server of ${registry} answers without a token`)
  }
  // It becomes a part of a header.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new UpstreamError('invalid', `the token server of ${registry} answers with a token that is none`)
  }
  const life = typeof json.expires_in === 'number' ? Math.max(json.expires_in, DEFAULT_LIFE) : DEFAULT_LIFE
  const refreshToken = typeof json.refresh_token === 'string' ? json.refresh_token : undefined
  return { token, refreshToken, expiresAt: now + life * 1000 }
}
