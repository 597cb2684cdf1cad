import { ANONYMOUS, type Authenticator, type Labels } from './authenticator.ts'
import { hashKind, type Passwords, stampOf } from './password.ts'

export interface StaticUser {
  /** bcrypt hash; undefined: any password is right (docker_auth's `name: {}`). */
  passwordHash: string | undefined
  labels: Labels
}

/** Users of the configuration file (docker_auth's `users`). The name `''` lets clients without credentials in. */
export function createStaticAuthenticator(options: {
  users: Readonly<Record<string, StaticUser>>
  passwords: Passwords
}): Authenticator {
  // A Map, for a record would also know `constructor`.
  const users = new Map(Object.entries(options.users))
  return {
    name: 'static',
    async authenticate(account, password) {
      const user = users.get(account)
      if (user === undefined) return 'no-match'
      const { passwordHash: hash, labels } = user
      if (hash === undefined) return { kind: 'yes', labels }
      // docker_auth knows no other kind.
      const usable = hashKind(hash) === 'bcrypt' ? hash : undefined
      const right = await options.passwords.check({ source: 'static', account, password, hash: usable })
      return right ? { kind: 'yes', labels } : 'wrong-password'
    },
    async find(account) {
      const user = account === ANONYMOUS ? undefined : users.get(account)
      return user && { labels: user.labels, stamp: stampOf(user.passwordHash) }
    },
  }
}
