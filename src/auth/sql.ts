import { ANONYMOUS, type Authenticator, type Labels, UnavailableError } from './authenticator.ts'
import { hashKind, type Passwords, stampOf } from './password.ts'

/** A user in somebody else's table. */
export interface ForeignUser {
  /** Null: the user may not log in. */
  passwordHash: string | null
  labels: Labels
}

/** Tables of somebody else with users and rules; `metadata/foreign-accounts.ts` is one. */
export interface ForeignAccounts {
  /** The user of exactly that name. @throws when it could not find out. */
  findUser(name: string): Promise<ForeignUser | undefined>
  /** The rules as they stand there, in order, unchecked. @throws as `findUser`. */
  rules(): Promise<unknown[]>
  close(): Promise<void>
}

/** Users of a SQL table (docker_auth's `xorm_auth`). The row is read each time, so that a change there counts at once. */
export function createSqlAuthenticator(options: { accounts: ForeignAccounts; passwords: Passwords }): Authenticator {
  const { accounts, passwords } = options

  async function userOf(account: string): Promise<ForeignUser | undefined> {
    if (account === ANONYMOUS) return undefined
    try {
      return await accounts.findUser(account)
    } catch (cause) {
      throw new UnavailableError('the database of users does not answer', { cause })
    }
  }

  return {
    name: 'xorm_auth',
    async authenticate(account, password) {
      // As the original has it: without a password this source is not asked.
      if (password === '') return 'no-match'
      const user = await userOf(account)
      if (user === undefined) return 'no-match'
      const hash = usable(user)
      const right = await passwords.check({ source: 'xorm_auth', account, password, hash })
      return right ? { kind: 'yes', labels: user.labels } : 'wrong-password'
    },
    async find(account) {
      const user = await userOf(account)
      const hash = user && usable(user)
      return user === undefined || hash === undefined ? undefined : { labels: user.labels, stamp: stampOf(hash) }
    },
    close: () => accounts.close(),
  }
}

/** docker_auth knows no other kind than bcrypt. */
function usable({ passwordHash }: ForeignUser): string | undefined {
  return passwordHash !== null && hashKind(passwordHash) === 'bcrypt' ? passwordHash : undefined
}
