import type { Groups, UserRow, Users } from '../metadata/metadata.ts'
import { ANONYMOUS, type Authenticator } from './authenticator.ts'
import { ask, withGroups } from './database.ts'
import { type Passwords, stampOf } from './password.ts'

/**
 * Accounts that people made by signing in with one provider (`github`, `oidc` …). They have no password here, only
 * personal access tokens, whose owner is asked for by `find`.
 */
export function createWebUsers(options: {
  kind: string
  users: Pick<Users, 'find'>
  groups: Pick<Groups, 'of'>
  passwords: Pick<Passwords, 'spend'>
}): Authenticator {
  const { kind, users, groups, passwords } = options

  async function rowOf(account: string): Promise<UserRow | undefined> {
    const row = account === ANONYMOUS ? undefined : await ask(() => users.find(account))
    return row?.kind === 'user' && row.source === kind ? row : undefined
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
      const labels = withGroups(row.labels, await ask(() => groups.of(account)))
      return { labels, admin: row.admin, stamp: stampOf(undefined) }
    },
  }
}
