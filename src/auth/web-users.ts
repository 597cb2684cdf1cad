import type { UserRow, Users } from '../metadata/metadata.ts'
import { ANONYMOUS, type Authenticator, UnavailableError } from './authenticator.ts'
import type { Passwords } from './password.ts'
import { stampOf } from './password.ts'

/**
 * Accounts that people made by signing in with one provider (`github`, `oidc` …). They have no password here, only
 * personal access tokens, whose owner is asked for by `find`.
 */
export function createWebUsers(options: {
  kind: string
  users: Pick<Users, 'find'>
  passwords: Pick<Passwords, 'spend'>
}): Authenticator {
  const { kind, users, passwords } = options

  async function rowOf(account: string): Promise<UserRow | undefined> {
    if (account === ANONYMOUS) return undefined
    try {
      const row = await users.find(account)
      return row?.kind === 'user' && row.source === kind ? row : undefined
    } catch (cause) {
      throw new UnavailableError('the user database does not answer', { cause })
    }
  }

  return {
    name: kind,
    async authenticate(account, password) {
      if ((await rowOf(account)) === undefined) return 'no-match'
      await passwords.spend(password)
      return 'wrong-password'
    },
    async find(account) {
      const row = await rowOf(account)
      if (row === undefined || row.disabled) return undefined
      return { labels: row.labels, admin: row.admin, stamp: stampOf(undefined) }
    },
  }
}
