import { type Authenticator, type Outcome, UnavailableError } from './authenticator.ts'
import type { Passwords } from './password.ts'

/**
 * Sources in order: the first that knows the account decides, right or wrong. An account that none knows takes as long
 * to refuse as a wrong password, so that the time tells nobody which names exist.
 *
 * It throws UnavailableError `authn #N returned error: …` when a source could not answer, and asks no later one: what
 * that source would have refused must not be let in by another.
 */
export function createChain(sources: readonly Authenticator[], passwords: Passwords): Authenticator {
  return {
    name: 'chain',
    async authenticate(account, password): Promise<Outcome> {
      for (const [index, source] of sources.entries()) {
        let outcome: Outcome
        try {
          outcome = await source.authenticate(account, password)
        } catch (cause) {
          const text = cause instanceof UnavailableError ? cause.message : 'internal error'
          throw new UnavailableError(`authn #${index + 1} returned error: ${text}`, { cause })
        }
        if (outcome !== 'no-match') return outcome
      }
      await passwords.spend(password)
      return 'no-match'
    },
  }
}
