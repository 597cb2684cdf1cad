import { createHash, randomBytes } from 'node:crypto'
import { type Labels, UnavailableError } from './authenticator.ts'
import { createPendingSignIns } from './sign-in-pending.ts'

export type SignInKind = 'google' | 'github' | 'oidc' | 'gitlab'

/** Random values of one sign-in, as the provider gets to see them. */
export interface Challenge {
  state: string
  nonce: string
  /** PKCE, S256 (RFC 7636 section 4.2). */
  codeChallenge: string
  redirectUri: string
}

/** What the browser brought back, with what only this side knows. */
export interface Proof {
  code: string
  /** Every parameter of the callback. */
  query: URLSearchParams
  state: string
  nonce: string
  codeVerifier: string
  redirectUri: string
}

export interface Identity {
  account: string
  labels: Labels
}

/** A place where people prove who they are. */
export interface SignInProvider {
  readonly kind: SignInKind
  /** As people know it: `GitHub`. */
  readonly title: string
  /** Where the provider sends the browser back to; undefined: made from the URL that the browser used. */
  readonly redirectUri: string | undefined
  /** The registry that people log in to afterwards; undefined: the host that the browser used. */
  readonly registryUrl: string | undefined
  /** Life of the tokens that a sign-in hands out, in milliseconds: by then people prove again who they are. */
  readonly tokenLifeMs: number
  /** Where to send the browser. @throws SignInError */
  authorizationUrl(challenge: Challenge): Promise<string>
  /** Who it is, once everything that the provider demands (membership, a verified address) is proved. @throws SignInError */
  identify(proof: Proof): Promise<Identity>
}

export interface SignedIn extends Identity {
  /** The kind of provider: the account's source. */
  source: SignInKind
  tokenLifeMs: number
}

/** The accounts that sign-ins make. */
export interface SignInAccounts {
  /**
   * Makes or renews the account with these labels, and a personal access token that lives at most `tokenLifeMs`.
   * `expiresAt` is in milliseconds since the epoch; `refused` is a sentence for the person.
   */
  conclude(identity: SignedIn): Promise<{ token: string; expiresAt: number | undefined } | { refused: string }>
}

/**
 * `bad-request`: the callback is not one that this browser waits for, or the person was turned away there; `refused`: known,
 * but not let in; `failed`: the provider's answer is no good; `unavailable`: it could not be found out now.
 * The text is for the person; `cause` is for the log.
 */
export class SignInError extends Error {
  readonly kind: 'bad-request' | 'refused' | 'failed' | 'unavailable'

  constructor(kind: SignInError['kind'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'SignInError'
    this.kind = kind
  }
}

export interface SignInEvent {
  outcome: 'done' | 'refused' | 'failed'
  source: SignInKind
  /** Empty while it is not known. */
  account: string
  /** The client's address, if it is known. */
  address: string | undefined
  /** Why it did not succeed; empty when it did. No secrets. */
  detail: string
}

export interface SignInOptions {
  providers: readonly SignInProvider[]
  accounts: SignInAccounts
  /** Milliseconds since the epoch. */
  now: () => number
  /** 256 random bits in base64url; a test gives its own. */
  random?: () => string
  /** Told of every end of a sign-in, for the audit log. */
  record?: (event: SignInEvent) => void
}

export interface Concluded {
  account: string
  token: string
  /** Milliseconds since the epoch. */
  expiresAt: number | undefined
}

export interface SignInFlow {
  /** Remembers a sign-in for this browser and resolves to where the browser goes. @throws SignInError */
  begin(provider: SignInProvider, from: { browser: string; redirectUri: string }): Promise<string>
  /** The callback: once, in the browser that began. @throws SignInError */
  finish(
    provider: SignInProvider,
    back: { browser: string | undefined; query: URLSearchParams; address: string | undefined },
  ): Promise<Concluded>
  /** A name for a browser that has none. */
  newBrowser(): string
}

/** Callbacks at once that talk to a provider; more are sent away, so that a slow provider holds no more connections. */
const MAX_RUNNING = 32

/** Sign-in by authorization code (RFC 6749 section 4.1) with state, nonce and PKCE, all kept on this side. */
export function createSignInFlow(options: SignInOptions): SignInFlow {
  const { accounts, now, record } = options
  const random = options.random ?? (() => randomBytes(32).toString('base64url'))
  const pending = createPendingSignIns({ now })
  let running = 0

  async function identify(provider: SignInProvider, back: Parameters<SignInFlow['finish']>[1]): Promise<Identity> {
    const { query, browser } = back
    const state = query.get('state') ?? ''
    const begun = browser === undefined ? undefined : pending.take({ state, browser, kind: provider.kind })
    if (begun === undefined) throw new SignInError('bad-request', NOT_BEGUN)
    // Only now: without the state anybody could make a link that shows a text of theirs.
    if (query.has('error')) throw new SignInError('bad-request', turnedAway(provider.title, query))
    const code = query.get('code') ?? ''
    if (code === '') throw new SignInError('bad-request', `${provider.title} sent no code. Please start again.`)
    const { nonce, codeVerifier, redirectUri } = begun
    if (running >= MAX_RUNNING)
      throw new SignInError('unavailable', 'Too many sign-ins at once. Please try again soon.')
    running++
    try {
      return await provider.identify({ code, query, state, nonce, codeVerifier, redirectUri })
    } finally {
      running--
    }
  }

  async function conclude(provider: SignInProvider, { account, labels }: Identity): Promise<Concluded> {
    if (!isAccountName(account)) {
      throw new SignInError('refused', `${provider.title} gives a name that cannot be an account's here.`)
    }
    let made: Awaited<ReturnType<SignInAccounts['conclude']>>
    try {
      made = await accounts.conclude({ source: provider.kind, account, labels, tokenLifeMs: provider.tokenLifeMs })
    } catch (cause) {
      const text = cause instanceof UnavailableError ? cause.message : 'the account could not be stored'
      throw new SignInError('unavailable', `The sign-in could not be finished: ${text}.`, { cause })
    }
    if ('refused' in made) throw new SignInError('refused', made.refused)
    return { account, ...made }
  }

  return {
    newBrowser: random,

    async begin(provider, { browser, redirectUri }) {
      const [state, nonce, codeVerifier] = [random(), random(), random()]
      const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url')
      const url = await provider.authorizationUrl({ state, nonce, codeChallenge, redirectUri })
      // After the provider answered: one that is down fills no memory.
      pending.add({ kind: provider.kind, state, browser, nonce, codeVerifier, redirectUri })
      return url
    },

    async finish(provider, back) {
      const event = { source: provider.kind, account: '', address: back.address }
      try {
        const identity = await identify(provider, back)
        event.account = identity.account
        const concluded = await conclude(provider, identity)
        record?.({ ...event, outcome: 'done', detail: '' })
        return concluded
      } catch (error) {
        const refused = error instanceof SignInError && error.kind === 'refused'
        record?.({ ...event, outcome: refused ? 'refused' : 'failed', detail: reasonOf(error) })
        throw error
      }
    },
  }
}

const NOT_BEGUN =
  'This sign-in was not begun in this browser, was begun more than ten minutes ago, or is finished already. Please start again.'

/** RFC 6749 section 4.1.2.1, bounded. */
function turnedAway(title: string, query: URLSearchParams): string {
  const said = [query.get('error'), query.get('error_description')]
    .filter((text) => text !== null && text !== '')
    .join(': ')
  return `${title} did not sign you in: ${printable(said).slice(0, 300)}`
}

function printable(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
}

/** An error and its causes as one line, from their messages alone: what else hangs on them may hold secrets. */
export function reasonOf(error: unknown): string {
  const messages: string[] = []
  for (let at = error; at instanceof Error && messages.length < 5; at = at.cause) messages.push(at.message)
  return printable(messages.join(': ') || 'unknown error').slice(0, 500)
}

/**
 * Whether a name that a provider gives can be an account: up to 255 bytes without a colon (Basic credentials end the name
 * there, RFC 7617 section 2), without control and invisible characters, and without space around it.
 */
export function isAccountName(name: string): boolean {
  return (
    name !== '' &&
    Buffer.byteLength(name) <= 255 &&
    name.isWellFormed() &&
    name.trim() === name &&
    !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}:]/u.test(name)
  )
}
