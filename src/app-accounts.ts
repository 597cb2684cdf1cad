import { randomUUID } from 'node:crypto'
import { type Accounts, createAccounts } from './auth/accounts.ts'
import { type Changes, createChanges } from './auth/administration.ts'
import { type Chain, createChain } from './auth/chain.ts'
import { secretKind } from './auth/credential-secret.ts'
import { type CredentialTokens, createCredentialTokens } from './auth/credential-tokens.ts'
import { createGroups, type GroupBook } from './auth/groups.ts'
import type { Passwords } from './auth/password.ts'
import { createRobots, type Robots } from './auth/robots.ts'
import { createRuleBook, type RuleBook } from './auth/rule-book.ts'
import type { SignInAccounts } from './auth/sign-in.ts'
import type { RefreshTokens } from './auth/token-server.ts'
import type { AuditRow, Metadata } from './metadata/metadata.ts'
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
  const newId = () => randomUUID().slice(0, 8)
  const warn = (message: string, fields: Record<string, unknown>) => log.warn(message, fields)
  const tokens = createCredentialTokens({ tokens: metadata.tokens, now, newId: randomUUID, changes, warn })
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
    robots: createRobots({ metadata, tokens, now, changes }),
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

/** Where people sign in with a browser: their account, and a personal access token. */
export function signInAccountsOf(deps: {
  metadata: Metadata
  services: Services
  chain: () => Chain
  now: () => number
}): SignInAccounts {
  const { metadata, services, now } = deps
  return {
    async conclude({ source, account, labels, tokenLifeMs }) {
      const owner = await deps.chain().find(account)
      const row = await metadata.users.find(account)
      const isTaken = (owner !== undefined && owner.source !== source) || (row !== undefined && row.source !== source)
      if (isTaken || account.startsWith('robot-')) {
        return { refused: `The name ${account} belongs to another account here. Ask an administrator.` }
      }
      if (row?.disabled === true) return { refused: `The account ${account} is disabled. Ask an administrator.` }
      const time = now()
      const actor = { account, source, address: '' }
      await services.changes.run(actor, `user ${account}`, row === undefined ? 'signed up' : 'signed in', () =>
        metadata.users.put({
          ...(row ?? { passwordHash: undefined, admin: false, disabled: false, description: '', createdAt: time }),
          ...{ name: account, kind: 'user', source, labels, grants: undefined, updatedAt: time },
        }),
      )
      const expiresAt = time + tokenLifeMs
      const name = `signed in ${new Date(time).toISOString().slice(0, 16).replace('T', ' ')}`
      const owned = { source, account, name, kind: 'personal', limits: undefined, expiresAt, stamp: undefined } as const
      const { secret } = await services.tokens.create(owned, actor)
      return { token: secret, expiresAt }
    },
  }
}
