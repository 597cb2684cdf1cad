/** One decision, or one change by an administrator. */
export interface AuditRow {
  at: number
  /** `token` (a request for one), `sign-in` (in the browser), `change` (of users, groups, tokens, rules, keys). */
  kind: 'token' | 'sign-in' | 'change'
  /** Who asked; `''` without credentials. */
  account: string
  /** The authenticator that knew the account; empty when none did. */
  source: string
  /** The client's address; empty on a unix socket. */
  address: string
  service: string
  /** Scopes as asked, or what was changed. */
  asked: string
  granted: string
  /** Where the deciding rules stand. */
  rules: string
  outcome: 'granted' | 'partial' | 'denied' | 'refused' | 'done' | 'failed'
  /** Why it was refused, or what the change was. */
  detail: string
}

export interface Audit {
  /** Relaxed. */
  append(rows: readonly AuditRow[]): Promise<void>
  /** Newest first; `before` is an id of an earlier page. */
  list(
    filter: { account?: string; kind?: AuditRow['kind']; outcome?: AuditRow['outcome'] },
    page: { before?: number | undefined; limit: number },
  ): Promise<(AuditRow & { id: number })[]>
  /** Removes up to `limit` rows that are older than `before` or beyond the newest `keep`; resolves to how many. */
  prune(before: number, keep: number, limit: number): Promise<number>
}
