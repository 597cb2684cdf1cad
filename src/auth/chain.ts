import type { TokenRow } from '../metadata/metadata.ts'
import {
  ANONYMOUS,
  type Authenticator,
  type Known,
  type Outcome,
  textOf,
  UnavailableError,
  type Yes,
} from './authenticator.ts'
import type { Passwords } from './password.ts'

/** Secrets that stand for a password (personal access tokens, refresh tokens), as the chain asks for them. */
export interface TokenLookup {
  /** Whether the text has the form of one; others cost no look-up. */
  isToken(text: string): boolean
  /** The token's row, unless it is unknown or has ended. `from` is the client's address. @throws UnavailableError */
  check(secret: string, from: string | undefined): Promise<TokenRow | undefined>
}

export interface Chain extends Authenticator {
  /** @param from the client's address, for the last use of a token. */
  authenticate(account: string, password: string, from?: string): Promise<Outcome>
  /** Who the owner of a token is now; undefined when the token lets nobody in any more. @throws UnavailableError */
  redeem(row: TokenRow, secret: string): Promise<Yes | undefined>
  /** The account in the first source that knows it without a password. @throws UnavailableError */
  find(account: string): Promise<(Known & { source: string }) | undefined>
  close(): Promise<void>
}

/**
 * Sources in order: the first that knows the account decides, right or wrong. An account that none knows takes as long
 * to refuse as a wrong password, so that the time tells nobody which names exist. A personal access token in place of
 * the password is looked up first; its owner must still be known to the source that it was made for.
 *
 * A source that does not answer is passed over, so that users of later ones are not locked out; unless one of them lets
 * the client in, it throws UnavailableError `authn #N returned error: …`.
 */
export function createChain(sources: readonly Authenticator[], passwords: Passwords, tokens?: TokenLookup): Chain {
  async function ask<T>(index: number, question: Promise<T>): Promise<T | UnavailableError> {
    try {
      return await question
    } catch (cause) {
      return new UnavailableError(`authn #${index + 1} returned error: ${textOf(cause)}`, { cause })
    }
  }

  async function byToken(account: string, secret: string, from: string | undefined): Promise<Yes | undefined> {
    const row = tokens?.isToken(secret) === true ? await tokens.check(secret, from) : undefined
    if (row === undefined || row.kind !== 'personal' || row.account !== account) return undefined
    return await redeem(row, secret)
  }

  async function byPassword(account: string, password: string): Promise<Outcome> {
    let failure: UnavailableError | undefined
    for (const [index, source] of sources.entries()) {
      const outcome = await ask(index, source.authenticate(account, password))
      if (outcome instanceof UnavailableError) failure ??= outcome
      else if (typeof outcome === 'object') return { ...outcome, source: source.name }
      // What the source that failed would have said is not known.
      else if (outcome === 'wrong-password' && failure === undefined) return outcome
    }
    if (failure !== undefined) throw failure
    await passwords.spend(password)
    return 'no-match'
  }

  async function find(account: string): Promise<(Known & { source: string }) | undefined> {
    if (account === ANONYMOUS) return undefined
    for (const [index, source] of sources.entries()) {
      const known = source.find === undefined ? undefined : await ask(index, source.find(account))
      if (known instanceof UnavailableError) throw known
      if (known !== undefined) return { ...known, source: source.name }
    }
    return undefined
  }

  /**
   * Whether a source before the token's own has the name, as far as that can only be asked with a password (a program):
   * it gets the token for one, as docker_auth's would, and any answer but "no such account" says so.
   */
  async function isShadowed({ account, source }: TokenRow, secret: string): Promise<boolean> {
    for (const [index, earlier] of sources.entries()) {
      if (earlier.name === source) return false
      if (earlier.find !== undefined) continue
      const outcome = await ask(index, earlier.authenticate(account, secret))
      if (outcome instanceof UnavailableError) throw outcome
      if (outcome !== 'no-match') return true
    }
    return false
  }

  /** An earlier source that knows the name now has it: whoever got a token under that name before is somebody else. */
  async function redeem(row: TokenRow, secret: string): Promise<Yes | undefined> {
    const known = await find(row.account)
    if (known === undefined || known.source !== row.source) return undefined
    if (row.stamp !== undefined && row.stamp !== known.stamp) return undefined
    if (await isShadowed(row, secret)) return undefined
    const { labels, admin, grants, source } = known
    return {
      kind: 'yes',
      labels,
      source,
      token: row.id,
      ...(admin === undefined ? {} : { admin }),
      ...(grants === undefined ? {} : { grants }),
      ...(row.limits === undefined ? {} : { limits: row.limits }),
    }
  }

  return {
    name: 'chain',
    async authenticate(account, password, from) {
      return (await byToken(account, password, from)) ?? (await byPassword(account, password))
    },
    redeem,
    find,
    async close() {
      await Promise.all(sources.map((source) => source.close?.()))
    },
  }
}
