import type { Page } from './metadata.ts'

/** A person or a robot that Berth itself knows. The two share one name space. */
export interface UserRow {
  name: string
  kind: 'user' | 'robot'
  /** `berth` for accounts that an administrator made, else the web sign-in that made it (`github`, `oidc` …). */
  source: string
  /** bcrypt, or what Bun.password makes; undefined when the account may not log in by password. */
  passwordHash: string | undefined
  admin: boolean
  /** Nothing of it lets anyone in while it is disabled. */
  disabled: boolean
  /** Groups that rules can match; memberships of `Groups` come on top. */
  labels: Record<string, string[]>
  /** A robot's own rights, which no rule changes; undefined for users. */
  grants: readonly Grant[] | undefined
  description: string
  createdAt: number
  updatedAt: number
}

/** A right: `actions` on every resource of `type` whose name matches `name` (a glob in which `**` crosses slashes). */
export interface Grant {
  type: string
  name: string
  actions: readonly string[]
}

export interface Users {
  find(name: string): Promise<UserRow | undefined>
  list(page: Page, kind?: UserRow['kind']): Promise<UserRow[]>
  /** Adds the user, or changes the one of that name (whose createdAt stays). */
  put(user: UserRow): Promise<void>
  /** Takes its memberships and tokens of source `berth` or its own source with it. Resolves to whether there was one. */
  remove(name: string): Promise<boolean>
}

export interface GroupRow {
  name: string
  description: string
  createdAt: number
}

export interface Groups {
  find(name: string): Promise<GroupRow | undefined>
  list(page: Page): Promise<GroupRow[]>
  /** Adds the group, or changes the one of that name (whose createdAt stays). */
  put(group: GroupRow): Promise<void>
  /** Takes its memberships with it. Resolves to whether there was one. */
  remove(name: string): Promise<boolean>
  /** Names of members. */
  members(group: string, page: Page): Promise<string[]>
  /** Names of the groups that a user is in, all of them. */
  of(user: string): Promise<string[]>
  /** Both must exist: otherwise it changes nothing and says which is missing. */
  join(group: string, user: string): Promise<'joined' | 'no-group' | 'no-user'>
  /** Resolves to whether it was a member. */
  leave(group: string, user: string): Promise<boolean>
}

/** A secret that stands for an account's password: a personal access token, a robot's, or a refresh token. */
export interface TokenRow {
  /** Public, for lists and revocation. */
  id: string
  /** SHA-256 of the secret, in hex. */
  hash: string
  kind: 'personal' | 'refresh'
  /** Name of the authenticator that knows the account. */
  source: string
  account: string
  /** What its owner calls it; for refresh tokens the client that asked. */
  name: string
  /** What it may do at most; undefined: all that the account may. */
  limits: readonly Grant[] | undefined
  /** The account's stamp when the token was made (`Known.stamp`); undefined: a changed password does not end the token. */
  stamp: string | undefined
  createdAt: number
  /** Undefined: never. */
  expiresAt: number | undefined
  lastUsedAt: number | undefined
  lastUsedFrom: string | undefined
}

export interface Tokens {
  findByHash(hash: string): Promise<TokenRow | undefined>
  find(id: string): Promise<TokenRow | undefined>
  /** In order of ids; `page.last` is an id. */
  list(filter: { account?: string; kind?: TokenRow['kind'] }, page: Page): Promise<TokenRow[]>
  add(token: TokenRow): Promise<void>
  /** Relaxed. Unknown ids are no error. */
  touch(uses: readonly { id: string; at: number; from: string | undefined }[]): Promise<void>
  /** Resolves to whether there was one. */
  remove(id: string): Promise<boolean>
  /** Ends the account's tokens (of one kind, or all). Resolves to how many there were. */
  removeAll(filter: { account: string; source?: string; kind?: TokenRow['kind'] }): Promise<number>
  /** Removes up to `limit` tokens that ended before `before`; resolves to how many. */
  expire(before: number, limit: number): Promise<number>
}

/** One rule of Berth's own list, in docker_auth's terms. */
export interface RuleRow {
  /** Stays when the list changes. */
  id: string
  match: {
    account?: string | undefined
    type?: string | undefined
    name?: string | undefined
    service?: string | undefined
    ip?: string | undefined
    labels?: Record<string, string> | undefined
  }
  actions: readonly string[]
  comment: string
}

export interface Rules {
  /** In order; `revision` grows with each change. */
  list(): Promise<{ revision: number; rules: RuleRow[] }>
  /** Puts another list in its place, if it still has that revision; resolves to whether it did. */
  replace(revision: number, rules: readonly RuleRow[]): Promise<boolean>
}
