import { ANONYMOUS, type Outcome } from './authenticator.ts'
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

export function createLogin(deps: {
  chain: Pick<Chain, 'authenticate'>
  passwords: Pick<Passwords, 'isRemembered'>
  /** Undefined: failed logins are not counted. */
  throttle: Throttle | undefined
}): Login {
  const { chain, passwords, throttle } = deps
  return async (account, password, address) => {
    const isStranger = account === ANONYMOUS && password === ''
    // A password that was right a moment ago is no guess, whatever else comes from that address.
    if (throttle === undefined || isStranger || passwords.isRemembered(account, password)) {
      return await chain.authenticate(account, password, address)
    }
    const attempt = await throttle.enter(account, address)
    if (!attempt.allowed) throw new ThrottledError(attempt.retryAfterMs)
    let outcome: Outcome | undefined
    try {
      outcome = await chain.authenticate(account, password, address)
      return outcome
    } finally {
      attempt.done(outcome === undefined ? 'unknown' : typeof outcome === 'object' ? 'right' : 'wrong')
    }
  }
}
