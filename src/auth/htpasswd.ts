import { readFile, stat } from 'node:fs/promises'
import { ANONYMOUS, type Authenticator, UnavailableError } from './authenticator.ts'
import { hashKind, type Passwords, stampOf } from './password.ts'

export interface HtpasswdOptions {
  path: string
  passwords: Passwords
  /** What `Outcome.admin` says of each user: with htpasswd alone, every user may do everything. */
  admin: boolean
  warn?: (message: string, fields: Record<string, unknown>) => void
}

interface Snapshot {
  /** Identity of the file that was read: a different one is read again. */
  stamp: string
  users: ReadonlyMap<string, string>
}

/**
 * A file of `name:hash` lines (Apache's htpasswd), where only bcrypt counts. It is read again when its time, size or
 * inode changes; while it cannot be read nobody is let in, and the question throws.
 */
export function createHtpasswdAuthenticator(options: HtpasswdOptions): Authenticator {
  const { path, passwords, admin, warn } = options
  let current: Snapshot | undefined
  let loading: { stamp: string; done: Promise<Snapshot> } | undefined

  async function load(stamp: string): Promise<Snapshot> {
    const users = parseHtpasswd(await readFile(path, 'utf8'))
    for (const [user, hash] of users) {
      if (hashKind(hash) !== 'bcrypt')
        warn?.('this user cannot log in: the password hash is not bcrypt', { path, user })
    }
    return { stamp, users }
  }

  async function snapshot(): Promise<Snapshot> {
    const { mtimeNs, size, ino, dev } = await stat(path, { bigint: true })
    const stamp = `${mtimeNs} ${size} ${ino} ${dev}`
    if (current?.stamp === stamp) return current
    if (loading?.stamp !== stamp) loading = { stamp, done: load(stamp) }
    const mine = loading
    try {
      const read = await mine.done
      if (current?.stamp !== stamp) {
        current = read
        passwords.forget()
      }
      return read
    } finally {
      // Also after a failure: the next question tries again.
      if (loading === mine) loading = undefined
    }
  }

  async function hashOf(account: string): Promise<string | undefined> {
    let users: Snapshot['users']
    try {
      users = (await snapshot()).users
    } catch (cause) {
      throw new UnavailableError('the htpasswd file cannot be read', { cause })
    }
    return account === ANONYMOUS ? undefined : users.get(account)
  }

  return {
    name: 'htpasswd',
    async authenticate(account, password) {
      const hash = await hashOf(account)
      if (hash === undefined) return 'no-match'
      const usable = hashKind(hash) === 'bcrypt' ? hash : undefined
      const right = await passwords.check({ source: 'htpasswd', account, password, hash: usable })
      return right ? { kind: 'yes', labels: {}, admin } : 'wrong-password'
    },
    async find(account) {
      const hash = await hashOf(account)
      return hash === undefined || hashKind(hash) !== 'bcrypt' ? undefined : { labels: {}, admin, stamp: stampOf(hash) }
    },
  }
}

/**
 * `name:hash` a line; blank lines, `#` comments, CRLF and space around a line are skipped; the last of equal names holds.
 * @throws Error naming the line that has no colon.
 */
export function parseHtpasswd(text: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon === -1) throw new Error(`line ${index + 1} of the htpasswd file is not "name:hash"`)
    users.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return users
}
