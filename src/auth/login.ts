import { LRUCache } from 'lru-cache'
import { ANONYMOUS, type Outcome, type Yes } from './authenticator.ts'
import type { Chain } from './chain.ts'
import type { Passwords } from './password.ts'
import type { Throttle } from './throttle.ts'

/** Too many failed logins; the text may be shown to the client. */
export class ThrottledError extends Error {
  readonly retryAfterMs: number

  constructor(retryAfterMs: number) {
    super('too many failed logins; try again later')
    this.name = 'ThrottledError'
    this.retryAfterMs = retryAfterMs
  }

  /** For `Retry-After` (RFC 9110 section 10.2.3). */
  get seconds(): number {
    return Math.max(1, Math.ceil(this.retryAfterMs / 1000))
  }
}

/**
 * A client that shows a name and a password (or a token in its place), wherever it does.
 * @param address of the client, as far as it is known; undefined on a unix socket.
 * @throws UnavailableError when it could not be found out.
 * @throws ThrottledError
 */
export type Login = (account: string, password: string, address: string | undefined) => Promise<Outcome>

/** Milliseconds for which a wrong password is wrong without a look, and for which it counts as the guess that it was. */
const REPEAT_MS = 1_000
const SAME_GUESS_MS = 300_000
/** Wrong passwords that are remembered, by a keyed MAC. */
const MAX_WRONG = 10_000

export function createLogin(deps: {
  chain: Pick<Chain, 'authenticate'>
  passwords: Pick<Passwords, 'isRemembered' | 'fingerprint'>
  /** Milliseconds since the epoch. */
  now: () => number
  /** Undefined: failed logins are not counted. */
  throttle: Throttle | undefined
}): Login {
  const { chain, passwords, throttle, now } = deps
  /** Wrong passwords by account and address. A client that was told an old one sends it again and again: that is no guess. */
  const wrong = new LRUCache<string, { at: number; outcome: Exclude<Outcome, Yes> }>({ max: MAX_WRONG })

  async function ask(id: string, ...question: Parameters<Login>): Promise<Outcome> {
    const outcome = await chain.authenticate(...question)
    if (typeof outcome === 'object') wrong.delete(id)
    else wrong.set(id, { at: now(), outcome })
    return outcome
  }

  return async (account, password, address) => {
    const isStranger = account === ANONYMOUS && password === ''
    // A password that was right a moment ago is no guess, whatever else comes from that address.
    if (throttle === undefined || isStranger || passwords.isRemembered(account, password)) {
      return await chain.authenticate(account, password, address)
    }
    const id = passwords.fingerprint(`${address ?? ''}\n${account}\n${password}`)
    const known = wrong.get(id)
    const age = known === undefined ? Number.POSITIVE_INFINITY : now() - known.at
    if (known !== undefined && age < REPEAT_MS) return known.outcome
    if (age < SAME_GUESS_MS) return await ask(id, account, password, address)
    const attempt = await throttle.enter(account, address)
    if (!attempt.allowed) throw new ThrottledError(attempt.retryAfterMs)
    let outcome: Outcome | undefined
    try {
      outcome = await ask(id, account, password, address)
      return outcome
    } finally {
      attempt.done(outcome === undefined ? 'unknown' : typeof outcome === 'object' ? 'right' : 'wrong')
    }
  }
}
