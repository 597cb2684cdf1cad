import type { Account } from '../../auth/accounts.ts'
import { hasEnded, type NewSecret } from '../../auth/credential-tokens.ts'
import { formatGrant } from '../../auth/grants.ts'
import type { RobotUse } from '../../auth/robots.ts'
import type { RobotView, TokenMadeView, TokenView, UserView } from './schemas.ts'

/** How rows look to a client. */
export function userView({ name, source, admin, disabled, hasPassword, ...row }: Account): UserView {
  const { labels, description } = row
  const times = { createdAt: isoOf(row.createdAt), updatedAt: isoOf(row.updatedAt) }
  return { name, source, admin, disabled, hasPassword, labels, description, ...times }
}

export function robotView(
  { name, grants, disabled, description, createdAt, updatedAt }: Account,
  { lastUsedAt, tokens, tokensEndAt }: RobotUse,
): RobotView {
  const times = { createdAt: isoOf(createdAt), updatedAt: isoOf(updatedAt) }
  const use = { lastUsedAt: isoOrNull(lastUsedAt), tokens, tokensEndAt: isoOrNull(tokensEndAt) }
  return { name, grants: (grants ?? []).map(formatGrant), disabled, description, ...times, ...use }
}

export function tokenView(row: NewSecret['token'], now: number): TokenView {
  const { id, kind, account, source, name, limits, createdAt, expiresAt, lastUsedAt, lastUsedFrom } = row
  return {
    id,
    kind,
    account,
    source,
    name,
    limits: limits?.map(formatGrant) ?? null,
    createdAt: isoOf(createdAt),
    expiresAt: isoOrNull(expiresAt),
    ended: hasEnded(row, now),
    lastUsedAt: isoOrNull(lastUsedAt),
    lastUsedFrom: lastUsedFrom ?? null,
  }
}

export function tokenMadeView({ secret, token }: NewSecret, now: number): TokenMadeView {
  return { secret, token: tokenView(token, now) }
}

export function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

export function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : isoOf(ms)
}

/** Milliseconds of a time that the schema has checked. */
export function timeOf(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Date.parse(text)
}
