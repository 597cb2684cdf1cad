import type { Grant, Page, TokenRow, Tokens } from '../metadata/metadata.ts'
import { type Actor, answered, ChangeError, type Changes, invalid, notFound } from './administration.ts'
import { newSecret, secretHash, secretKind } from './credential-secret.ts'
import { createRefreshTrim, removeRows, tokensOf } from './refresh-trim.ts'
import { createUses } from './token-uses.ts'

export interface NewToken extends Pick<TokenRow, 'source' | 'account' | 'name' | 'kind' | 'expiresAt' | 'stamp'> {
  limits: readonly Grant[] | undefined
}

/** What else counts when a token is made. */
export interface Making {
  /** Asked when it is the token's turn; throws a ChangeError when its account may have none any more. */
  check?: () => Promise<unknown>
  /** Which tokens give way to it, the oldest first, where the account has as many as it may. */
  yields?: (row: TokenRow) => boolean
}

/** The only time that the secret is shown. */
export interface NewSecret {
  secret: string
  token: TokenRow
}

/**
 * Secrets that stand for an account's password: personal access tokens, those of robots, refresh tokens. Whoever lets an
 * account in by one must ask the token's source for the account besides (`Authenticator.find`), and compare the stamp.
 */
export interface CredentialTokens {
  /**
   * @param actor records the change; a refresh token has none, for its login is recorded already.
   * @throws ChangeError, UnavailableError
   */
  create(token: NewToken, actor?: Actor, making?: Making): Promise<NewSecret>
  /**
   * The token of a secret; undefined when it is none, or has ended. What is mistyped costs no look-up.
   * @param now milliseconds since the epoch
   * @param from the client's address, for "last used"
   * @throws UnavailableError
   */
  check(secret: string, now: number, from?: string): Promise<TokenRow | undefined>
  find(id: string): Promise<TokenRow | undefined>
  list(filter: { account?: string; kind?: TokenRow['kind'] }, page: Page): Promise<TokenRow[]>
  revoke(id: string, actor?: Actor): Promise<void>
  /** Resolves to how many there were. */
  revokeAll(filter: { account: string; source?: string; kind?: TokenRow['kind'] }, actor?: Actor): Promise<number>
  /** A refresh token counts for so many milliseconds without use. The longest life that was ever told decides what is removed. */
  expectIdle(lifeMs: number): void
  /** Removes tokens that ended more than a week ago; until then lists show why a client stopped. Resolves to how many. */
  removeEnded(): Promise<number>
  /** Writes down which tokens were used last. */
  flush(): Promise<void>
}

export interface CredentialTokensOptions {
  tokens: Tokens
  /** Milliseconds since the epoch. */
  now: () => number
  /** Unique for ever, and safe in a URL. */
  newId: () => string
  changes: Changes
  /** Told when the last uses could not be written down, which is no reason to refuse anybody. */
  warn?: (message: string, fields: Record<string, unknown>) => void
  /** Runs the work a little later, once; a timer of five seconds unless told. */
  later?: (work: () => void) => void
}

const WEEK = 7 * 86_400_000
/** Tokens of one account, source and kind at most. */
const MAX_TOKENS = 200
const MAX_NAME = 100
const BATCH = 500
/** Batches of one run of `removeEnded`. */
const MAX_BATCHES = 1000

export function createCredentialTokens(options: CredentialTokensOptions): CredentialTokens {
  const { tokens, now, newId, changes } = options
  const uses = createUses(options)
  const refreshes = createRefreshTrim({ tokens, max: MAX_TOKENS, ...(options.warn && { warn: options.warn }) })

  async function make(wanted: NewToken, { check, yields }: Making): Promise<NewSecret> {
    const time = now()
    // The client of a refresh token names itself: that must not keep anybody from logging in.
    const name = wanted.kind === 'refresh' ? clientName(wanted.name) : wanted.name
    if (name === '' || name.length > MAX_NAME || /\p{Cc}/u.test(name)) {
      throw invalid('name', `the name of a token has 1 to ${MAX_NAME} characters, none of them a control character`)
    }
    checkExpiry(wanted.expiresAt, time)
    await check?.()
    if (wanted.kind === 'personal') await makeRoom(wanted, time, yields)
    const secret = newSecret(wanted.kind)
    const none = { lastUsedAt: undefined, lastUsedFrom: undefined }
    const token: TokenRow = { ...wanted, name, id: newId(), hash: secretHash(secret), createdAt: time, ...none }
    await tokens.add(token)
    if (wanted.kind === 'refresh') await refreshes.trim(wanted)
    return { secret, token }
  }

  /** Tokens that ended go first, then those that give way. @throws ChangeError when too many are left */
  async function makeRoom(wanted: NewToken, time: number, yields: Making['yields']): Promise<void> {
    const all = await tokensOf(tokens, wanted)
    const surplus = all.length - MAX_TOKENS + 1
    if (surplus <= 0) return
    const ended = all.filter((row) => hasEnded(row, time))
    const giving = all
      .filter((row) => !hasEnded(row, time) && yields?.(row) === true)
      .toSorted((a, b) => a.createdAt - b.createdAt)
      .slice(0, Math.max(0, surplus - ended.length))
    if (ended.length + giving.length < surplus) {
      throw new ChangeError('conflict', `${wanted.account} has ${all.length} tokens: revoke one first`)
    }
    await removeRows(tokens, [...ended, ...giving])
  }

  async function recorded<T>(actor: Actor | undefined, asked: string, detail: string, work: () => Promise<T>) {
    return actor === undefined ? await answered(work) : await changes.run(actor, asked, detail, work)
  }

  return {
    async create(token, actor, making = {}) {
      const until = token.expiresAt === undefined ? '' : ` until ${new Date(token.expiresAt).toISOString()}`
      return await recorded(actor, `tokens of ${token.account}`, `made ${token.name}${until}`, () =>
        make(token, making),
      )
    },

    async check(secret, time, from) {
      const kind = secretKind(secret)
      if (kind === undefined) return undefined
      const row = await answered(() => tokens.findByHash(secretHash(secret)))
      if (row === undefined || row.kind !== kind || hasEnded(row, time)) return undefined
      uses.note(row, time, from)
      return row
    },

    find: (id) => answered(() => tokens.find(id)),
    list: (filter, page) => answered(() => tokens.list(filter, page)),

    async revoke(id, actor) {
      const row = await answered(() => tokens.find(id))
      const asked = row === undefined ? `token ${id}` : `tokens of ${row.account}`
      await recorded(actor, asked, `revoked ${row?.name ?? id}`, async () => {
        if (!(await tokens.remove(id))) throw notFound(`token ${id}`)
      })
    },

    async revokeAll(filter, actor) {
      const detail = `revoked all${filter.kind === undefined ? '' : ` of kind ${filter.kind}`}`
      return await recorded(actor, `tokens of ${filter.account}`, detail, () => tokens.removeAll(filter))
    },

    expectIdle: refreshes.expectIdle,

    async removeEnded() {
      const before = now() - WEEK
      let total = 0
      for (let i = 0; i < MAX_BATCHES; i++) {
        const removed = await answered(() => tokens.expire(before, BATCH))
        total += removed
        if (removed < BATCH) break
      }
      return total + (await answered(() => refreshes.removeIdle(before)))
    },

    flush: () => uses.flush(),
  }
}

function clientName(text: string): string {
  return text.replace(/\p{Cc}/gu, '').slice(0, MAX_NAME) || 'unknown client'
}

export function hasEnded({ expiresAt }: Pick<TokenRow, 'expiresAt'>, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** @throws ChangeError when a token that ends then would be over. */
export function checkExpiry(expiresAt: number | undefined, now: number): void {
  if (hasEnded({ expiresAt }, now)) throw invalid('expiresAt', 'this moment is over')
}
