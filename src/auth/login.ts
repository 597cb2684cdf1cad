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
const REPEAT_MS = 10_000
const SAME_GUESS_MS = 300_000
/** Wrong passwords, and pairs of account and address, that are remembered, by a keyed MAC. */
const MAX_WRONG = 10_000
const MAX_PAIRS = 10_000
/** Tries while an account must wait at an address after which even a password that was right a moment ago waits there. */
const WARY = 20

/**
 * Logins that are counted. Two things are no guesses: a password that was right for the account a moment ago, so that what
 * else comes from its address does not keep its owner out (until it is tried so often that the answer would help to guess);
 * and the wrong password of a moment ago, which a client that was told an old one sends again and again.
 */
export function createLogin(deps: {
  chain: Pick<Chain, 'authenticate'>
  passwords: Pick<Passwords, 'isRemembered' | 'fingerprint'>
  /** Milliseconds since the epoch. */
  now: () => number
  /** Undefined: failed logins are not counted. */
  throttle: Throttle | undefined
}): Login {
  const { chain, passwords, throttle, now } = deps
  const wrong = new LRUCache<string, { at: number; outcome: Exclude<Outcome, Yes> }>({ max: MAX_WRONG })
  const knocks = new LRUCache<string, { at: number; count: number }>({ max: MAX_PAIRS })
  /** The same question at the same time is asked once. */
  const running = new Map<string, Promise<Outcome>>()

  async function ask(id: string, ...question: Parameters<Login>): Promise<Outcome> {
    const outcome = await chain.authenticate(...question)
    if (typeof outcome === 'object') wrong.delete(id)
    else wrong.set(id, { at: now(), outcome })
    return outcome
  }

  async function askOnce(id: string, ...question: Parameters<Login>): Promise<Outcome> {
    const answer = running.get(id) ?? ask(id, ...question)
    running.set(id, answer)
    try {
      return await answer
    } finally {
      running.delete(id)
    }
  }

  /** Counts a try at an account that must wait; says whether there were too many. */
  function isKnockedAt(account: string, address: string | undefined): boolean {
    const pair = passwords.fingerprint(JSON.stringify([address, account]))
    const time = now()
    const known = knocks.get(pair)
    const count = known === undefined || time - known.at >= SAME_GUESS_MS ? 1 : known.count + 1
    knocks.set(pair, { at: time, count })
    return count > WARY
  }

  async function counted(limits: Throttle, ...question: Parameters<Login>): Promise<Outcome> {
    const [account, password, address] = question
    const id = passwords.fingerprint(JSON.stringify([address, account, password]))
    const known = wrong.get(id)
    // After the clock was set back, an answer of a time to come is none.
    const age = known === undefined || now() < known.at ? Number.POSITIVE_INFINITY : now() - known.at
    if (known !== undefined && age < REPEAT_MS) return known.outcome
    if (age < SAME_GUESS_MS) return await askOnce(id, ...question)
    const attempt = await limits.enter(account, address)
    if (!attempt.allowed) {
      isKnockedAt(account, address)
      throw new ThrottledError(attempt.retryAfterMs)
    }
    let outcome: Outcome | undefined
    try {
      outcome = await ask(id, ...question)
      return outcome
    } finally {
      attempt.done(outcome === undefined ? 'unknown' : typeof outcome === 'object' ? 'right' : 'wrong')
    }
  }

  return async (...question) => {
    const [account, password, address] = question
    const isStranger = account === ANONYMOUS && password === ''
    if (throttle === undefined || isStranger) return await chain.authenticate(...question)
    if (passwords.isRemembered(account, password)) {
      const isSafe = !throttle.mustWait(account, address) || !isKnockedAt(account, address)
      if (isSafe) return await chain.authenticate(...question)
    }
    return await counted(throttle, ...question)
  }
}
