import { randomBytes } from 'node:crypto'
import type { Grant, Metadata, Page, UserRow } from '../metadata/metadata.ts'
import { checkLabels } from './account-labels.ts'
import { nameProblem } from './account-name.ts'
import {
  type Actor,
  answered,
  BERTH,
  ChangeError,
  type Changes,
  invalid,
  notFound,
  OPERATOR,
} from './administration.ts'
import { hashPassword, type Passwords } from './password.ts'

/** The user that a new registry begins with. */
export const FIRST_ADMIN = 'admin'

/** An account as administrators see it: never with its hash. */
export interface Account extends Omit<UserRow, 'passwordHash'> {
  hasPassword: boolean
  grants: readonly Grant[] | undefined
}

export interface NewUser {
  name: string
  /** Undefined: it logs in with personal access tokens alone. */
  password?: string | undefined
  admin?: boolean | undefined
  labels?: UserRow['labels'] | undefined
  description?: string | undefined
  /** Must exist. */
  groups?: readonly string[] | undefined
}

/** What is absent stays as it is. */
export interface UserChange {
  password?: string | undefined
  admin?: boolean | undefined
  disabled?: boolean | undefined
  labels?: UserRow['labels'] | undefined
  description?: string | undefined
}

/** Users that Berth itself keeps, and those that a web sign-in made. All throw ChangeError and UnavailableError. */
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
  setPassword(name: string, password: string, actor?: Actor): Promise<boolean>
  /** For the user itself: the old password must be right. */
  changeOwnPassword(name: string, old: string, password: string, actor: Actor): Promise<void>
  find(name: string): Promise<(Account & { groups: string[] }) | undefined>
  list(page: Page): Promise<Account[]>
  create(user: NewUser, actor: Actor): Promise<Account>
  change(name: string, change: UserChange, actor: Actor): Promise<Account>
  /** Takes its memberships and tokens with it. */
  remove(name: string, actor: Actor): Promise<void>
}

export interface AccountsDeps {
  metadata: Pick<Metadata, 'users' | 'groups'>
  /** Milliseconds since the epoch. */
  now: () => number
  changes: Changes
  passwords: Pick<Passwords, 'check' | 'reconsider'>
  /** Told when a password has changed, before that is answered. */
  onPassword?: (name: string) => void | Promise<void>
}

/** @throws Error with a text for the user when the password cannot be used. */
export function checkPassword(password: string): void {
  if (password === '') throw new Error('the password is empty')
  // bcrypt reads no further: what comes after would be no part of the password, and nobody would notice.
  if (Buffer.byteLength(password) > 72)
    throw new Error('the password has more than 72 bytes, which is all that bcrypt reads')
  if (/[\r\n\0]/.test(password)) throw new Error('the password has a line break or a NUL in it')
}

export function createAccounts({ metadata, now, changes, passwords, onPassword }: AccountsDeps): Accounts {
  const { users, groups } = metadata
  /** Names whose password its owner is changing. */
  const underWay = new Set<string>()

  async function user(name: string): Promise<UserRow> {
    const row = await users.find(name)
    if (row === undefined || row.kind !== 'user') throw notFound(`user ${name}`)
    return row
  }

  function fresh(name: string, admin: boolean): UserRow {
    const time = now()
    const none = { passwordHash: undefined, disabled: false, labels: {}, grants: undefined, description: '' }
    return { name, kind: 'user', source: BERTH, admin, createdAt: time, updatedAt: time, ...none }
  }

  function withHash(row: UserRow, passwordHash: string | undefined): UserRow {
    if (passwordHash === undefined) return row
    if (row.source !== BERTH) throw new ChangeError('conflict', `${row.name} signs in with ${row.source}`)
    return { ...row, passwordHash }
  }

  /** What was refused a moment ago may be right now, and counts at once. */
  async function put(row: UserRow): Promise<void> {
    await users.put(row)
    passwords.reconsider()
  }

  /** Nobody could undo it through the API. */
  async function refuseWithoutAdmin(before: UserRow, after: UserRow | undefined): Promise<void> {
    if (!administers(before) || (after !== undefined && administers(after))) return
    let last: string | undefined
    for (;;) {
      const rows = await users.list({ last, limit: PAGE }, 'user')
      if (rows.some((row) => row.name !== before.name && administers(row))) return
      last = rows.at(-1)?.name
      if (rows.length < PAGE) break
    }
    throw new ChangeError('conflict', `${before.name} is the last administrator that can log in with a password`)
  }

  return {
    async ensureAdmin(wanted) {
      if ((await answered(() => users.list({ limit: 1 }))).length > 0) return undefined
      const password = wanted ?? randomBytes(18).toString('base64url')
      const hash = () => hashOf(password, 'password')
      await changes.prepared(OPERATOR, `user ${FIRST_ADMIN}`, 'first administrator made', hash, (passwordHash) =>
        put({ ...fresh(FIRST_ADMIN, true), passwordHash }),
      )
      return password
    },

    async setPassword(name, password, actor = OPERATOR) {
      const hash = () => hashOf(password, 'password')
      return await changes.prepared(actor, `user ${name}`, 'new password', hash, async (passwordHash) => {
        const known = await users.find(name)
        if (known === undefined && name !== FIRST_ADMIN) return false
        if (known?.kind === 'robot') throw new ChangeError('conflict', `${name} is a robot: it has tokens, no password`)
        await put({ ...withHash(known ?? fresh(name, true), passwordHash), updatedAt: now() })
        await onPassword?.(name)
        return true
      })
    },

    async changeOwnPassword(name, old, password, actor) {
      // The slow part runs beside all other changes, so nobody may have more than one of these.
      if (underWay.has(name)) throw new ChangeError('conflict', `the password of ${name} is being changed already`)
      underWay.add(name)
      const prepare = async () => {
        const { passwordHash: known } = await user(name)
        const check = { source: BERTH, account: name, password: old, hash: known }
        if (!(await passwords.check(check))) throw invalid('oldPassword', 'the old password is wrong')
        return { known, next: await hashOf(password, 'newPassword') }
      }
      const detail = 'new password, by the user itself'
      try {
        await changes.prepared(actor, `user ${name}`, detail, prepare, async ({ known, next }) => {
          const row = await user(name)
          if (row.passwordHash !== known) throw invalid('oldPassword', 'the old password is wrong')
          await put({ ...row, passwordHash: next, updatedAt: now() })
          await onPassword?.(name)
        })
      } finally {
        underWay.delete(name)
      }
    },

    async find(name) {
      return await answered(async () => {
        const row = await users.find(name)
        return row?.kind === 'user' ? { ...accountOf(row), groups: await groups.of(name) } : undefined
      })
    },

    async list(page) {
      return (await answered(() => users.list(page, 'user'))).map(accountOf)
    },

    async create(wanted, actor) {
      const { name, admin = false, labels = {}, description = '' } = wanted
      const detail = admin ? 'made, as an administrator' : 'made'
      const prepare = async () => {
        const problem = nameProblem('user', name)
        if (problem !== undefined) throw invalid('name', problem)
        checkLabels(labels)
        return await hashIfAny(wanted.password)
      }
      return await changes.prepared(actor, `user ${name}`, detail, prepare, async (passwordHash) => {
        if ((await users.find(name)) !== undefined) throw new ChangeError('conflict', `there is a user ${name} already`)
        for (const [index, group] of (wanted.groups ?? []).entries()) {
          if ((await groups.find(group)) === undefined) throw invalid(`groups.${index}`, `there is no group ${group}`)
        }
        const row = { ...fresh(name, admin), labels, description, passwordHash }
        await put(row)
        for (const group of wanted.groups ?? []) await groups.join(group, name)
        return accountOf(row)
      })
    },

    async change(name, change, actor) {
      const prepare = async () => {
        if (change.labels !== undefined) checkLabels(change.labels)
        return await hashIfAny(change.password)
      }
      return await changes.prepared(actor, `user ${name}`, summary(change), prepare, async (passwordHash) => {
        const row = await user(name)
        const next: UserRow = {
          ...withHash(row, passwordHash),
          admin: change.admin ?? row.admin,
          disabled: change.disabled ?? row.disabled,
          labels: change.labels ?? row.labels,
          description: change.description ?? row.description,
          updatedAt: now(),
        }
        await refuseWithoutAdmin(row, next)
        await put(next)
        if (change.password !== undefined) await onPassword?.(name)
        return accountOf(next)
      })
    },

    async remove(name, actor) {
      await changes.run(actor, `user ${name}`, 'removed', async () => {
        await refuseWithoutAdmin(await user(name), undefined)
        if (!(await users.remove(name))) throw notFound(`user ${name}`)
        // Another source may have the name now.
        passwords.reconsider()
      })
    },
  }
}

/** Rows of one look for another administrator. */
const PAGE = 500

function administers({ kind, source, admin, disabled, passwordHash }: UserRow): boolean {
  return kind === 'user' && source === BERTH && admin && !disabled && passwordHash !== undefined
}

export function accountOf({ passwordHash, ...row }: UserRow): Account {
  return { ...row, hasPassword: passwordHash !== undefined }
}

async function hashIfAny(password: string | undefined): Promise<string | undefined> {
  return password === undefined ? undefined : await hashOf(password, 'password')
}

async function hashOf(password: string, path: string): Promise<string> {
  try {
    checkPassword(password)
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error))
  }
  return await hashPassword(password)
}

/** What `change` changes, for the audit log. */
function summary({ password, labels, description, admin, disabled }: UserChange): string {
  const parts = [
    admin === undefined ? undefined : admin ? 'administrator' : 'no administrator',
    disabled === undefined ? undefined : disabled ? 'disabled' : 'enabled',
    password === undefined ? undefined : 'new password',
    labels === undefined ? undefined : `labels ${JSON.stringify(labels)}`,
    description === undefined ? undefined : 'description',
  ]
  return parts.filter((part) => part !== undefined).join(', ') || 'nothing'
}
