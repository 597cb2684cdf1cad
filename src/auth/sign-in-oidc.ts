import type { ClientAuth, Configuration, CustomFetchOptions, IDToken, UserInfoResponse } from 'openid-client'
import type { Labels } from './authenticator.ts'
import { type Identity, type Proof, SignInError, type SignInProvider } from './sign-in.ts'
import {
  type Answer,
  asText,
  checkedUrl,
  exchange,
  isProtected,
  type OAuthClient,
  readJson,
  readSecret,
  readText,
  type UpstreamFetch,
} from './sign-in-upstream.ts'

export interface OidcOptions extends OAuthClient {
  kind: 'oidc' | 'google'
  title: string
  /** `https:`, or `http:` on this machine. */
  issuer: string
  redirectUri: string | undefined
  userClaim: string
  labelsClaims: readonly string[]
  scopes: readonly string[]
  /** Google Workspace's: undefined lets every account of the issuer in. */
  domain: string | undefined
  httpTimeoutMs: number
  registryUrl: string | undefined
  tokenLifeMs: number
  /** Milliseconds since the epoch. */
  now: () => number
  fetch?: UpstreamFetch | undefined
}

/** Milliseconds after which the provider's metadata is read anew. */
const METADATA_MS = 3_600_000

type Library = typeof import('openid-client')
type Claims = IDToken | UserInfoResponse

/**
 * OpenID Connect (Core 1.0 section 3.1) with discovery, PKCE, nonce, and signatures checked against the issuer's keys.
 * Nothing is asked of the provider before the first sign-in, and a failure is not remembered.
 *
 * @throws Error when the issuer or the redirect URL cannot be used.
 */
export function createOidcSignIn(options: OidcOptions): SignInProvider {
  const { kind, title, clientId, domain, userClaim, labelsClaims } = options
  const issuer = checkedIssuer(options)
  /** As it was read last: the library asks for it in the middle of an exchange, and does not wait. */
  let secret: string | undefined
  let known: { configuration: Promise<Configuration>; until: number } | undefined

  async function discover(): Promise<Configuration> {
    const client = await import('openid-client')
    const configuration = await client.discovery(issuer, clientId, undefined, clientAuth(client), {
      [client.customFetch]: guardedFetch,
      // Seconds; each exchange.
      timeout: options.httpTimeoutMs / 1000,
      ...(issuer.protocol === 'http:' ? { execute: [client.allowInsecureRequests] } : {}),
    })
    client.enableNonRepudiationChecks(configuration)
    return configuration
  }

  async function configured(): Promise<Configuration> {
    if (known === undefined || known.until <= options.now()) {
      known = { configuration: discover(), until: options.now() + METADATA_MS }
    }
    const mine = known
    try {
      return await mine.configuration
    } catch (cause) {
      if (known === mine) known = undefined
      throw problem(cause)
    }
  }

  /** By the method that the provider names, Basic where it takes both (OpenID Connect Discovery 1.0 section 3). */
  function clientAuth(client: Library): ClientAuth {
    return (server, metadata, body, headers) => {
      const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
      let auth: ClientAuth
      if (secret === undefined) auth = client.None()
      else if (!methods.includes('client_secret_basic') && methods.includes('client_secret_post'))
        auth = client.ClientSecretPost(secret)
      else auth = client.ClientSecretBasic(secret)
      auth(server, metadata, body, headers)
    }
  }

  /** Bounded in time and bytes, and never in clear text to another machine, whatever the metadata say. */
  async function guardedFetch(url: string, init: CustomFetchOptions): Promise<Answer> {
    if (!isProtected(new URL(url))) throw new SignInError('failed', `${title} names an address without TLS.`)
    const { signal, body, ...rest } = init
    return limited(await exchange(options, url, { ...rest, body: body ?? null }, signal))
  }

  /** The library reads answers by these methods, which then stop at the limit. */
  function limited(answer: Answer): Answer {
    const copy = answer.clone.bind(answer)
    return Object.assign(answer, {
      json: () => readJson(title, answer),
      text: () => readText(title, answer),
      clone: () => limited(copy() as Answer),
    })
  }

  function problem(cause: unknown): SignInError {
    for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
      if (at instanceof SignInError) return at
    }
    // RFC 6749 section 5.2.
    const code = cause instanceof Error && 'error' in cause ? asText(cause.error) : undefined
    const said = code !== undefined && /^[a-z_]{1,60}$/.test(code) ? ` (${code})` : ''
    return new SignInError('failed', `The answer of ${title} could not be accepted${said}. Please start again.`, {
      cause,
    })
  }

  /** What the ID token says, and the user information besides where that is not all that is needed. */
  async function claimsOf({ query, state, nonce, codeVerifier, redirectUri }: Proof): Promise<Claims[]> {
    const configuration = await configured()
    try {
      const client = await import('openid-client')
      secret = await readSecret(options)
      const tokens = await client.authorizationCodeGrant(configuration, new URL(`${redirectUri}?${query}`), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true,
      })
      const token = tokens.claims()
      if (token === undefined) throw new SignInError('failed', `${title} sent no ID token.`)
      const needed = [userClaim, ...labelsClaims, ...(userClaim === 'email' ? ['email_verified'] : [])]
      const complete = needed.every((claim) => Object.hasOwn(token, claim))
      if (complete || configuration.serverMetadata().userinfo_endpoint === undefined) return [token]
      return [token, await client.fetchUserInfo(configuration, tokens.access_token, token.sub)]
    } catch (cause) {
      throw problem(cause)
    }
  }

  /** @throws SignInError for an address that the person did not prove to have, or one outside the domain. */
  function checkEmail(account: string, claims: readonly Claims[]): void {
    const verified = claims.map((some) => some.email_verified)
    // Some providers write the word; where none says anything, the provider is believed.
    const denied = verified.some((value) => value === false || String(value) === 'false')
    if (userClaim === 'email' && denied) {
      throw new SignInError('refused', `Your address is not verified at ${title}.`)
    }
    if (kind !== 'google') return
    if (!verified.includes(true)) throw new SignInError('refused', `Your address is not verified at ${title}.`)
    if (domain === undefined) return
    const wanted = domain.toLowerCase()
    const hosted = asText(claimOf(claims, 'hd'))?.toLowerCase() === wanted
    if (!hosted || !account.toLowerCase().endsWith(`@${wanted}`)) {
      throw new SignInError('refused', `Your account does not belong to ${domain}.`)
    }
  }

  return {
    kind,
    title,
    redirectUri: options.redirectUri,
    registryUrl: options.registryUrl,
    tokenLifeMs: options.tokenLifeMs,

    async authorizationUrl({ state, nonce, codeChallenge, redirectUri }) {
      const configuration = await configured()
      const client = await import('openid-client')
      try {
        const url = client.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectUri,
          scope: [...new Set(['openid', ...options.scopes])].join(' '),
          state,
          nonce,
          code_challenge: codeChallenge,
          code_challenge_method: 'S256',
          ...(domain === undefined ? {} : { hd: domain }),
        })
        return url.href
      } catch (cause) {
        throw problem(cause)
      }
    },

    async identify(proof): Promise<Identity> {
      const claims = await claimsOf(proof)
      const account = asText(claimOf(claims, userClaim))
      if (account === undefined) {
        throw new SignInError('refused', `${title} does not tell your account's name (claim "${userClaim}").`)
      }
      checkEmail(account, claims)
      return { account, labels: labelsOf(claims, labelsClaims) }
    },
  }
}

function checkedIssuer({ kind, issuer, redirectUri }: OidcOptions): URL {
  const url = checkedUrl(`${kind}_auth.issuer`, issuer)
  if (!isProtected(url)) throw new Error(`${kind}_auth.issuer must begin with https:// (http only on this machine)`)
  if (redirectUri !== undefined) checkedUrl(`${kind}_auth.redirect_url`, redirectUri)
  return url
}

/** The ID token's word comes first: its signature is checked. */
function claimOf(claims: readonly Claims[], name: string): unknown {
  return claims.find((some) => Object.hasOwn(some, name))?.[name]
}

/** Each claim is a label with its text, or its list of texts; a claim that is neither makes none. */
function labelsOf(claims: readonly Claims[], names: readonly string[]): Labels {
  const labels = names.map((name): [string, string[]] => {
    const value = claimOf(claims, name)
    const values: unknown[] = Array.isArray(value) ? value : [value]
    return [name, values.filter((text): text is string => typeof text === 'string' && text !== '')]
  })
  return Object.fromEntries(labels.filter(([, values]) => values.length > 0))
}
