/** Free-form groups of an account, which rules can match and insert (docker_auth's "labels"). */
export type Labels = Record<string, string[]>

/** The one account name that stands for a client without credentials. */
export const ANONYMOUS = ''

/**
 * What a source of users says: `no-match` when it does not know the account (the next source is asked), `wrong-password`
 * when it does and the answer is no. `admin` is the right to everything where no rules are configured.
 */
export type Outcome = { kind: 'yes'; labels: Labels; admin?: boolean } | 'no-match' | 'wrong-password'

/** A source of users. Every one passes `authenticator.suite.ts`. */
export interface Authenticator {
  /** For messages and the log. */
  readonly name: string
  /**
   * @param account as the client sent it: case matters, `''` is a client without credentials.
   * @throws only when it could not find out (a file or database that does not answer), never for "no".
   */
  authenticate(account: string, password: string): Promise<Outcome>
}

/** A question of authentication or authorization that could not be answered now. Its message may be shown to a client. */
export class UnavailableError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'UnavailableError'
  }
}
