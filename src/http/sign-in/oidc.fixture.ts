import { startOidcProvider } from '../../auth/oidc-provider.fixture.ts'
import { createOidcSignIn, type OidcOptions } from '../../auth/sign-in-oidc.ts'
import { type Browser, createBrowser, startSignInServer, type Visit } from './browser.fixture.ts'

export const SECRET = 'a client secret: + % &'
const PEOPLE = {
  ann: { email: 'ann@example.com', email_verified: true, name: 'Ann', groups: ['dev', 'ops', 7, ''], dept: 'it' },
  quiet: { email: 'quiet@example.com' },
  liar: { email: 'root@example.com', email_verified: false },
  worded: { email: 'root@example.com', email_verified: 'false' },
  nobody: { name: 'Nobody' },
  colon: { email: 'a:b@example.com', email_verified: true },
  hosted: { email: 'h@corp.example', email_verified: true, hd: 'corp.example' },
  guest: { email: 'guest@gmail.example', email_verified: true, hd: 'corp.example' },
  impostor: { email: 'i@corp.example', email_verified: true },
}

const cleanups: (() => Promise<void>)[] = []

/** Ends every server that `setup` started. */
export async function stopAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup()
}

type Setup = { inIdToken?: boolean; authMethod?: 'client_secret_basic' | 'client_secret_post' | 'none' }

/** Pages at `/p`, and the real provider behind them. */
export async function setup(wanted: Partial<OidcOptions> = {}, { inIdToken = false, authMethod }: Setup = {}) {
  const server = startSignInServer('/p')
  const path = wanted.kind === 'google' ? '/p/google_auth' : '/p/oidc_auth'
  const redirectUri = `${server.base}${path}`
  const provider = await startOidcProvider({
    clientId: 'berth',
    clientSecret: authMethod === 'none' ? undefined : SECRET,
    ...(authMethod === undefined ? {} : { authMethod }),
    redirectUris: [redirectUri],
    people: PEOPLE,
    inIdToken,
  })
  cleanups.push(server.stop, provider.stop)
  const signIn = createOidcSignIn({
    kind: 'oidc',
    title: 'Example',
    issuer: provider.issuer,
    clientId: 'berth',
    clientSecret: authMethod === 'none' ? undefined : SECRET,
    clientSecretFile: undefined,
    redirectUri: wanted.kind === 'google' ? undefined : redirectUri,
    userClaim: 'email',
    labelsClaims: [],
    scopes: ['openid', 'email'],
    domain: undefined,
    httpTimeoutMs: 60_000,
    registryUrl: 'https://registry.example:5000/',
    tokenLifeMs: 1000,
    now: () => server.clock.now,
    ...wanted,
  })
  server.providers.push(signIn)
  return { server, provider, signIn, start: `${redirectUri}?start=1`, isCallback: callbackOf(redirectUri) }
}

function callbackOf(redirectUri: string): (url: string) => boolean {
  return (url) => url.startsWith(`${redirectUri}?`) && !url.includes('start=')
}

export type SignInSetup = Awaited<ReturnType<typeof setup>>

/** From the start page to the callback's URL, which is not opened yet. */
export async function logInAt(
  { start, isCallback }: { start: string; isCallback: (url: string) => boolean },
  browser: Browser,
  person: string,
  tamper: (authorization: URL) => void = () => {},
): Promise<string> {
  const isProvider = (url: string) => new URL(url).pathname === '/auth'
  const sent = await browser.visit(start, { stopAt: isProvider })
  const authorization = new URL(sent.url)
  tamper(authorization)
  let page: Visit = await browser.visit(authorization.href, { stopAt: isCallback })
  for (const form of [{ prompt: 'login', login: person, password: 'any' }, { prompt: 'consent' }]) {
    if (isCallback(page.url)) break
    page = await browser.visit(page.url, { form, stopAt: isCallback })
  }
  if (!isCallback(page.url)) throw new Error(`no callback: ${page.status} ${page.url} ${page.text.slice(0, 500)}`)
  return page.url
}

export async function signInAs(made: SignInSetup, person: string): Promise<Visit> {
  const browser = createBrowser()
  return await browser.visit(await logInAt(made, browser, person))
}
