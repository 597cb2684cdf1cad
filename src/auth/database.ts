import type { Users } from '../metadata/metadata.ts'
import { ANONYMOUS, type Authenticator, UnavailableError } from './authenticator.ts'
import type { Passwords } from './password.ts'

/**
 * Users of the metadata database (made by `berth user`). The row is read each time, so a change by another process
 * counts at once; only the slow comparison is remembered.
 */
export function createDatabaseAuthenticator(options: {
  users: Pick<Users, 'find'>
  passwords: Passwords
}): Authenticator {
  return {
    name: 'database',
    async authenticate(account, password) {
      if (account === ANONYMOUS) return 'no-match'
      let row: Awaited<ReturnType<Users['find']>>
      try {
        row = await options.users.find(account)
      } catch (cause) {
        throw new UnavailableError('the user database does not answer', { cause })
      }
      if (row === undefined) return 'no-match'
      const right = await options.passwords.check({ source: 'database', account, password, hash: row.passwordHash })
      return right ? { kind: 'yes', labels: {}, admin: row.admin } : 'wrong-password'
    },
  }
}
