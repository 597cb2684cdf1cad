import type { Groups, UserRow, Users } from '../metadata/metadata.ts'
import { BERTH } from './administration.ts'
import { ANONYMOUS, type Authenticator, type Known, UnavailableError } from './authenticator.ts'
import { type Passwords, stampOf } from './password.ts'

/**
 * Users and robots of the metadata database (made by `berth user`, `berth robot`, the API). The row is read each time, so
 * a change by another process counts at once; only the slow comparison is remembered.
 *
 * A disabled account is refused here and now, so that no later source lets the same name in. A robot has no password: its
 * tokens are checked before, and `find` then tells its rights. Accounts that a web sign-in made have none either: unless
 * they are disabled they are left to the source that made them.
 */
export function createDatabaseAuthenticator(options: {
  users: Pick<Users, 'find'>
  groups: Pick<Groups, 'of'>
  passwords: Pick<Passwords, 'check'>
}): Authenticator {
  async function rowOf(account: string): Promise<UserRow | undefined> {
    return account === ANONYMOUS ? undefined : await ask(() => options.users.find(account))
  }

  async function knownOf(row: UserRow): Promise<Omit<Known, 'stamp'>> {
    const groups = await ask(() => options.groups.of(row.name))
    const labels = withGroups(row.labels, groups)
    return row.kind === 'robot' ? { labels, grants: row.grants ?? [] } : { labels, admin: row.admin }
  }

  return {
    name: BERTH,
    async authenticate(account, password) {
      const row = await rowOf(account)
      if (row === undefined) return 'no-match'
      const elsewhere = row.source !== BERTH && row.passwordHash === undefined && row.kind === 'user'
      if (elsewhere && !row.disabled) return 'no-match'
      const usable = row.disabled || row.kind === 'robot' ? undefined : row.passwordHash
      const right = await options.passwords.check({ source: BERTH, account, password, hash: usable })
      return right ? { kind: 'yes', ...(await knownOf(row)) } : 'wrong-password'
    },
    async find(account) {
      const row = await rowOf(account)
      if (row === undefined || row.disabled || row.source !== BERTH) return undefined
      return { ...(await knownOf(row)), stamp: stampOf(row.passwordHash) }
    },
  }
}

/** Asks the database of users. @throws UnavailableError */
export async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (cause) {
    throw new UnavailableError('the user database does not answer', { cause })
  }
}

/** Memberships are values of the label `groups`, besides those that the account itself has there. */
export function withGroups(labels: UserRow['labels'], groups: readonly string[]): UserRow['labels'] {
  if (groups.length === 0) return labels
  const own = Object.hasOwn(labels, 'groups') ? (labels.groups ?? []) : []
  return { ...labels, groups: [...new Set([...own, ...groups])].sort() }
}
