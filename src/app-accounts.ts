import { type Accounts, createAccounts } from './auth/accounts.ts'
import { answered, ChangeError, type Changes, createChanges } from './auth/administration.ts'
import { type Chain, createChain } from './auth/chain.ts'
import { secretKind } from './auth/credential-secret.ts'
import { type CredentialTokens, createCredentialTokens } from './auth/credential-tokens.ts'
import { createGroups, type GroupBook } from './auth/groups.ts'
import type { Passwords } from './auth/password.ts'
import { createRobots, type Robots } from './auth/robots.ts'
import { createRuleBook, type RuleBook } from './auth/rule-book.ts'
import type { SignedIn, SignInAccounts } from './auth/sign-in.ts'
import type { RefreshTokens } from './auth/token-server.ts'
import type { AuditRow, Metadata, TokenRow, UserRow } from './metadata/metadata.ts'
import type { Log } from './telemetry/log.ts'

/** The use cases of whoever keeps accounts in Berth's own database. */
export interface Services {
  accounts: Accounts
  groups: GroupBook
  robots: Robots
  tokens: CredentialTokens
  rules: RuleBook
  changes: Changes
}

export function createServices(deps: {
  metadata: Metadata
  passwords: Passwords
  log: Log
  now: () => number
  record: (row: AuditRow) => void
  onPassword?: (name: string) => Promise<void>
}): Services {
  const { metadata, passwords, log, now, onPassword } = deps
  const changes = createChanges({
    now,
    record(row) {
      // A login that was wrong a moment ago may be right now.
      if (row.outcome === 'done') passwords.reconsider()
      deps.record(row)
    },
  })
  const newId = () => crypto.randomUUID().slice(0, 8)
  const warn = (message: string, fields: Record<string, unknown>) => log.warn(message, fields)
  const tokens = createCredentialTokens({
    tokens: metadata.tokens,
    now,
    newId: () => crypto.randomUUID(),
    changes,
    warn,
  })
  return {
    accounts: createAccounts({
      metadata,
      now,
      changes,
      passwords,
      onPassword: async (name) => {
        passwords.forget()
        await onPassword?.(name)
      },
    }),
    groups: createGroups({ metadata, now, changes }),
    robots: createRobots({ metadata, tokens, now, changes, passwords }),
    tokens,
    rules: createRuleBook({ rules: metadata.rules, newId, changes }),
    changes,
  }
}

/** Personal access tokens in place of passwords. */
export function chainOf(
  sources: Parameters<typeof createChain>[0],
  passwords: Passwords,
  services: Services | undefined,
  now: () => number,
): Chain {
  if (services === undefined) return createChain(sources, passwords)
  return createChain(sources, passwords, {
    isToken: (text) => secretKind(text) === 'personal',
    check: (secret, from) => services.tokens.check(secret, now(), from),
  })
}

/** Refresh tokens that end when nobody used them for a while. */
export function refreshTokensOf({ tokens }: Services, lifeMs: number, now: () => number): RefreshTokens {
  tokens.expectIdle(lifeMs)
  return {
    async create({ source, account, stamp, client }) {
      const name = client.replace(/[^ -~]/g, '?').slice(0, MAX_CLIENT) || 'unknown client'
      const token = { source, account, stamp, name, kind: 'refresh', limits: undefined, expiresAt: undefined } as const
      return (await tokens.create(token)).secret
    },
    async check(secret, from) {
      const row = await tokens.check(secret, now(), from)
      if (row?.kind !== 'refresh') return undefined
      return (row.lastUsedAt ?? row.createdAt) + lifeMs < now() ? undefined : row
    },
  }
}

const MAX_CLIENT = 60

/** Of an account that signs in itself: what begins like that is nobody's who comes from outside. */
const RESERVED = /^(?:@|robot-)/i
/** As the tokens of sign-ins are called; the oldest gives way where there are too many. */
const SIGNED_IN = /^signed in \d{4}-\d\d-\d\d \d\d:\d\d$/

/** Where people sign in with a browser: their account, and a personal access token. */
export function signInAccountsOf(deps: {
  metadata: Metadata
  services: Services
  chain: Pick<Chain, 'find'>
  now: () => number
}): SignInAccounts {
  const { metadata, services, now } = deps

  function refusalOf(account: string, source: string, row: UserRow | undefined): string | undefined {
    if (RESERVED.test(account) || (row !== undefined && row.source !== source)) {
      return `The name ${account} belongs to another account here. Ask an administrator.`
    }
    return row?.disabled === true ? `The account ${account} is disabled. Ask an administrator.` : undefined
  }

  async function rowOf(account: string, source: string): Promise<UserRow | undefined> {
    const row = await metadata.users.find(account)
    const refused = refusalOf(account, source, row)
    if (refused !== undefined) throw new ChangeError('conflict', refused)
    return row
  }

  async function sign({
    source,
    account,
    labels,
    tokenLifeMs,
  }: SignedIn): Promise<{ token: string; expiresAt: number }> {
    const time = now()
    const actor = { account, source, address: '' }
    let isNew = false
    // The row as it is in its turn: an administrator may have disabled it since the person was sent to the provider.
    await services.changes.run(
      actor,
      `user ${account}`,
      () => (isNew ? 'signed up' : 'signed in'),
      async () => {
        const row = await rowOf(account, source)
        isNew = row === undefined
        await metadata.users.put({
          ...(row ?? { passwordHash: undefined, admin: false, disabled: false, description: '', createdAt: time }),
          ...{ name: account, kind: 'user', source, labels, grants: undefined, updatedAt: time },
        })
      },
    )
    const expiresAt = time + tokenLifeMs
    const name = `signed in ${new Date(time).toISOString().slice(0, 16).replace('T', ' ')}`
    const owned = { source, account, name, kind: 'personal', limits: undefined, expiresAt, stamp: undefined } as const
    const { secret } = await services.tokens.create(owned, actor, {
      async check() {
        if ((await rowOf(account, source)) === undefined) {
          throw new ChangeError('conflict', `The account ${account} was removed. Ask an administrator.`)
        }
      },
      yields: (token: TokenRow) => SIGNED_IN.test(token.name),
    })
    return { token: secret, expiresAt }
  }

  return {
    async conclude(identity) {
      const { account, source } = identity
      // Before it waits for its turn, and outside of it: a directory that is slow must not keep changes waiting.
      const owner = await deps.chain.find(account)
      const isTaken = owner !== undefined && owner.source !== source
      if (isTaken) return { refused: `The name ${account} belongs to another account here. Ask an administrator.` }
      const refused = refusalOf(account, source, await answered(() => metadata.users.find(account)))
      if (refused !== undefined) return { refused }
      try {
        return await sign(identity)
      } catch (error) {
        if (error instanceof ChangeError) return { refused: error.message }
        throw error
      }
    },
  }
}
