import type { Grant } from '../metadata/metadata.ts'

/** Free-form groups of an account, which rules can match and insert (docker_auth's "labels"). */
export type Labels = Record<string, string[]>

/** The one account name that stands for a client without credentials. */
export const ANONYMOUS = ''

/** An account as its source knows it. */
export interface Known {
  labels: Labels
  /** The right to everything where no rules are configured. */
  admin?: boolean
  /** Rights of its own, which stand in place of all rules (robots). */
  grants?: readonly Grant[]
  /** Changes when its password does: what was issued for the old one then ends. */
  stamp: string
}

/** An account that proved itself. */
export interface Yes {
  kind: 'yes'
  labels: Labels
  admin?: boolean
  grants?: readonly Grant[]
  /** What it may do at most, whatever rules say: the limits of the token that it used. */
  limits?: readonly Grant[]
  /** Name of the source that knew it; the chain fills it in. */
  source?: string
  /** Id of the personal access token or refresh token that it used. */
  token?: string
}

/**
 * What a source of users says: `no-match` when it does not know the account (the next source is asked), `wrong-password`
 * when it does and the answer is no.
 */
export type Outcome = Yes | 'no-match' | 'wrong-password'

/** A source of users. Every one passes `authenticator.suite.ts`. */
export interface Authenticator {
  /** For messages, the log, and the rows of tokens: `static`, `ldap`, `ext_auth` … */
  readonly name: string
  /**
   * @param account as the client sent it: case matters, `''` is a client without credentials.
   * @throws UnavailableError only when it could not find out (a file or database that does not answer), never for "no".
   */
  authenticate(account: string, password: string): Promise<Outcome>
  /**
   * The account as it is now, without a password; undefined when it is not known or may not log in. A source that cannot tell
   * has no such method: its accounts then get neither refresh tokens nor personal access tokens.
   * @throws UnavailableError as `authenticate`.
   */
  find?(account: string): Promise<Known | undefined>
  /** Gives back what it holds (connections, watchers, children). */
  close?(): Promise<void>
}

/** A question of authentication or authorization that could not be answered now. Its message may be shown to a client. */
export class UnavailableError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'UnavailableError'
  }
}

/** What a client may be told of an error of a source. */
export function textOf(error: unknown): string {
  return error instanceof UnavailableError ? error.message : 'internal error'
}
