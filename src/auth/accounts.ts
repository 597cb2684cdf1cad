import { randomBytes } from 'node:crypto'
import type { Metadata, UserRow } from '../metadata/metadata.ts'
import { hashPassword } from './password.ts'

/** The user that a new registry begins with. */
export const FIRST_ADMIN = 'admin'

export interface Accounts {
  /**
   * Makes the first administrator if there is no user at all. Resolves to its password, or undefined when there was one.
   * `wanted` is a password that the operator chose; without it one is made.
   */
  ensureAdmin(wanted: string | undefined): Promise<string | undefined>
  /**
   * Gives a user a new password. The first administrator is made if it is missing: its loss must not lock anybody out.
   * Resolves to false when there is no such user.
   */
  setPassword(name: string, password: string): Promise<boolean>
}

/** @throws Error with a text for the user when the password cannot be used. */
export function checkPassword(password: string): void {
  if (password === '') throw new Error('the password is empty')
  // bcrypt reads no further: what comes after would be no part of the password, and nobody would notice.
  if (Buffer.byteLength(password) > 72)
    throw new Error('the password has more than 72 bytes, which is all that bcrypt reads')
  if (/[\r\n\0]/.test(password)) throw new Error('the password has a line break or a NUL in it')
}

export function createAccounts({ metadata, now }: { metadata: Metadata; now: () => number }): Accounts {
  async function put(name: string, password: string, known: UserRow | undefined): Promise<void> {
    checkPassword(password)
    const time = now()
    await metadata.users.put({
      name,
      passwordHash: await hashPassword(password),
      admin: known?.admin ?? name === FIRST_ADMIN,
      createdAt: known?.createdAt ?? time,
      updatedAt: time,
    })
  }

  return {
    async ensureAdmin(wanted) {
      const users = await metadata.users.list({ limit: 1 })
      if (users.length > 0) return undefined
      const password = wanted ?? randomBytes(18).toString('base64url')
      await put(FIRST_ADMIN, password, undefined)
      return password
    },

    async setPassword(name, password) {
      const known = await metadata.users.find(name)
      if (known === undefined && name !== FIRST_ADMIN) return false
      await put(name, password, known)
      return true
    },
  }
}
