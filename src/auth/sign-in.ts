import { createHash, randomBytes } from 'node:crypto'
import { type Labels, UnavailableError } from './authenticator.ts'
import { createPendingSignIns, type PendingSignIn } from './sign-in-pending.ts'
import { createModerateRecord } from './sign-in-record.ts'
import { createTurns } from './sign-in-turns.ts'

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
  /**
   * Told of the end of a sign-in, for the audit log: of each that names an account, and of no more of the others than a log
   * can bear. A callback that nobody began is no sign-in.
   */
  record?: (event: SignInEvent) => void
}

export interface Concluded {
  account: string
  token: string
  /** Milliseconds since the epoch. */
  expiresAt: number | undefined
}

/** A sign-in that has begun. */
export interface Begun {
  /** Where the browser goes. */
  location: string
  /** Names the sign-in; 256 random bits in base64url, which the provider sends back. */
  state: string
  /** What the browser must keep for `finish`, and show to nobody else. In base64url, about 300 characters. */
  sealed: string
}

export interface SignInFlow {
  /** @throws SignInError */
  begin(provider: SignInProvider, redirectUri: string): Promise<Begun>
  /**
   * The callback, in the browser that began: `sealed` is what that kept for the state in the query. It succeeds once; what
   * was `unavailable` may be tried again. @throws SignInError
   */
  finish(
    provider: SignInProvider,
    back: { sealed: string | undefined; query: URLSearchParams; address: string | undefined },
  ): Promise<Concluded>
}

/** Callbacks at once that talk to a provider; more are sent away, so that a slow provider holds no more connections. */
const MAX_RUNNING = 32
/** Of them from one address: whoever sends codes that were made up must not keep everybody else waiting. */
const MAX_RUNNING_PER_ADDRESS = 8

/** Sign-in by authorization code (RFC 6749 section 4.1) with state, nonce and PKCE; the browser keeps them, sealed. */
export function createSignInFlow(options: SignInOptions): SignInFlow {
  const { accounts, now } = options
  const random = options.random ?? (() => randomBytes(32).toString('base64url'))
  const record = createModerateRecord({ now, record: options.record ?? (() => {}) })
  const pending = createPendingSignIns({ now })
  const takeTurn = createTurns({ max: MAX_RUNNING, perAddress: MAX_RUNNING_PER_ADDRESS })

  async function identify(
    provider: SignInProvider,
    { state, nonce, codeVerifier, redirectUri }: PendingSignIn,
    { query, address }: Parameters<SignInFlow['finish']>[1],
  ): Promise<Identity> {
    // Only now: without the state anybody could make a link that shows a text of theirs.
    if (query.has('error')) throw new SignInError('bad-request', turnedAway(provider.title, query))
    const code = query.get('code') ?? ''
    if (code === '') throw new SignInError('bad-request', `${provider.title} sent no code. Please start again.`)
    const endTurn = takeTurn(address)
    if (endTurn === undefined) throw new SignInError('unavailable', TOO_MANY)
    try {
      return await provider.identify({ code, query, state, nonce, codeVerifier, redirectUri })
    } finally {
      endTurn()
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
    async begin(provider, redirectUri) {
      const [state, nonce, codeVerifier] = [random(), random(), random()]
      const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url')
      const location = await provider.authorizationUrl({ state, nonce, codeChallenge, redirectUri })
      const sealed = pending.seal({ kind: provider.kind, state, nonce, codeVerifier, redirectUri })
      return { location, state, sealed }
    },

    async finish(provider, back) {
      const { kind } = provider
      const state = back.query.get('state') ?? ''
      const begun = back.sealed === undefined ? undefined : pending.open({ kind, state, sealed: back.sealed })
      if (begun === undefined) throw new SignInError('bad-request', NOT_BEGUN)
      const event = { source: kind, account: '', address: back.address }
      try {
        if (!pending.use(state)) throw new SignInError('unavailable', TOO_MANY)
        const identity = await identify(provider, begun, back)
        event.account = identity.account
        const concluded = await conclude(provider, identity)
        record({ ...event, outcome: 'done', detail: '' })
        return concluded
      } catch (error) {
        // The provider takes a code once (RFC 6749 section 4.1.2), so nothing is gained by the same again; and strangers,
        // who can only fail, fill nothing.
        pending.release(state)
        const refused = error instanceof SignInError && error.kind === 'refused'
        record({ ...event, outcome: refused ? 'refused' : 'failed', detail: reasonOf(error) })
        throw error
      }
    },
  }
}

const NOT_BEGUN =
  'This sign-in was not begun in this browser, was begun more than ten minutes ago, or is finished already. Please start again.'
const TOO_MANY = 'Too many sign-ins at once. Please try again soon.'

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
