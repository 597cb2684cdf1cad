import type { SignInProvider } from './sign-in.ts'
import { createGithubSignIn } from './sign-in-github.ts'
import { createGitlabSignIn } from './sign-in-gitlab.ts'
import { createOidcSignIn } from './sign-in-oidc.ts'
import { checkedUrl, isProtected, type OAuthClient, type UpstreamFetch } from './sign-in-upstream.ts'

interface Registered extends OAuthClient {
  /** Milliseconds for one exchange. */
  httpTimeoutMs: number
  registryUrl: string | undefined
}

interface Forge extends Registered {
  organization: string | undefined
  webUri: string
  apiUri: string
  /**
   * Life of the tokens that sign-in hands out, so that membership is proved anew by then; 0 stands for the default. What
   * docker_auth does with it (asking the forge again in the background) needs the person's upstream token, which
   * is not kept.
   */
  revalidateAfterMs: number
}

/** One section of the configuration. */
export type SignInSettings =
  | (Registered & { kind: 'google'; domain: string | undefined })
  | (Forge & { kind: 'github' })
  | (Forge & { kind: 'gitlab'; redirectUri: string | undefined })
  | (Registered & {
      kind: 'oidc'
      issuer: string
      redirectUrl: string
      userClaim: string
      labelsClaims: string[]
      scopes: string[]
    })

export interface SignInProviderDeps {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Life of tokens where the section says nothing, in milliseconds. Default 90 days. */
  tokenLifeMs?: number
  fetch?: UpstreamFetch
  /** Told at once of every setting that lets more people in, or for less long, than its author may think. */
  warn?: (message: string) => void
}

const DAY = 86_400_000
const DEFAULT_LIFE = 90 * DAY
const GOOGLE = 'https://accounts.google.com'

/** @throws Error with a text for the operator when an address of a section cannot be used. */
export function createSignInProviders(sections: readonly SignInSettings[], deps: SignInProviderDeps): SignInProvider[] {
  return sections.map((section) => {
    for (const text of warnings(section)) deps.warn?.(`${section.kind}_auth: ${text}`)
    return providerOf(section, deps)
  })
}

function providerOf(section: SignInSettings, deps: SignInProviderDeps): SignInProvider {
  const { now, fetch } = deps
  const standard = deps.tokenLifeMs ?? DEFAULT_LIFE
  switch (section.kind) {
    case 'github':
      return createGithubSignIn({
        ...section,
        ...bases(section),
        tokenLifeMs: section.revalidateAfterMs || standard,
        fetch,
      })
    case 'gitlab':
      if (section.redirectUri !== undefined) checkedUrl('gitlab_auth.redirect_uri', section.redirectUri)
      return createGitlabSignIn({
        ...section,
        ...bases(section),
        tokenLifeMs: section.revalidateAfterMs || standard,
        fetch,
      })
    case 'google':
      return createOidcSignIn({
        ...section,
        title: 'Google',
        issuer: GOOGLE,
        redirectUri: undefined,
        userClaim: 'email',
        labelsClaims: [],
        scopes: ['openid', 'email'],
        tokenLifeMs: standard,
        now,
        fetch,
      })
    case 'oidc':
      return createOidcSignIn({
        ...section,
        title: checkedUrl('oidc_auth.issuer', section.issuer).host,
        redirectUri: section.redirectUrl,
        domain: undefined,
        tokenLifeMs: standard,
        now,
        fetch,
      })
  }
}

function bases({ kind, webUri, apiUri }: SignInSettings & Forge): { webUri: string; apiUri: string } {
  const base = (key: string, url: string) => checkedUrl(`${kind}_auth.${kind}_${key}_uri`, url).href.replace(/\/+$/, '')
  return { webUri: base('web', webUri), apiUri: base('api', apiUri) }
}

function warnings(section: SignInSettings): string[] {
  const found: string[] = []
  if (section.kind === 'google') {
    if (section.domain === undefined) found.push('without a domain, everybody with a Google account can sign in')
    return found
  }
  if (section.kind === 'oidc') return found
  if (section.organization === undefined) {
    found.push(`without an organization, everybody with an account at ${section.webUri} can sign in`)
  }
  for (const url of [section.webUri, section.apiUri]) {
    if (URL.canParse(url) && !isProtected(new URL(url)))
      found.push(`${url} has no TLS: secrets cross the network in clear`)
  }
  const { revalidateAfterMs } = section
  if (revalidateAfterMs > 0 && revalidateAfterMs < DAY) {
    const minutes = Math.round(revalidateAfterMs / 60_000)
    found.push(`revalidate_after is the life of tokens: people must sign in again every ${minutes} minutes`)
  }
  return found
}
