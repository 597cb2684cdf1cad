import { setImmediate } from 'node:timers/promises'
import type { TokenRow, Tokens } from '../metadata/metadata.ts'

type Owner = Pick<TokenRow, 'account' | 'source' | 'kind'>

/** Rows of one question; and questions of one run, after which the next run goes on. */
const PAGE = 500
const MAX_PAGES = 200
/** Removals at once. */
const PORTION = 100

/** All tokens of one kind that an account of one source has; another source may have an account of the same name. */
export async function tokensOf(tokens: Pick<Tokens, 'list'>, { account, source, kind }: Owner): Promise<TokenRow[]> {
  const found: TokenRow[] = []
  let last: string | undefined
  for (let i = 0; i < MAX_PAGES; i++) {
    const rows = await tokens.list({ account, kind }, { last, limit: PAGE })
    found.push(...rows.filter((row) => row.source === source))
    if (rows.length < PAGE) break
    last = rows.at(-1)?.id
  }
  return found
}

/** Resolves to how many of them were still there. */
export async function removeRows(tokens: Pick<Tokens, 'remove'>, rows: readonly TokenRow[]): Promise<number> {
  let removed = 0
  for (let i = 0; i < rows.length; i += PORTION) {
    const results = await Promise.all(rows.slice(i, i + PORTION).map(({ id }) => tokens.remove(id)))
    removed += results.filter((was) => was).length
  }
  return removed
}

export interface RefreshTrim {
  /**
   * Removes what the account has too many, those first that were idle longest: clients ask for a refresh token at each login
   * and give none back. Many that ask at once share one look. It never fails: the token that was made counts.
   */
  trim(owner: Owner): Promise<void>
  expectIdle(lifeMs: number): void
  /** Removes tokens whose idle time was over before then, in milliseconds since the epoch. Resolves to how many. */
  removeIdle(before: number): Promise<number>
}

/** Refresh tokens end when nobody uses them, and nobody tells when that is. */
export function createRefreshTrim(options: {
  tokens: Pick<Tokens, 'list' | 'remove'>
  /** Tokens of one account of one source. */
  max: number
  warn?: (message: string, fields: Record<string, unknown>) => void
}): RefreshTrim {
  const { tokens, max, warn } = options
  /** By account: the look that goes on, and the one that waits for its end and sees what is added until then. */
  const running = new Map<string, Promise<void>>()
  const waiting = new Map<string, Promise<void>>()
  let lifeMs: number | undefined
  let cursor: string | undefined

  async function trimNow(owner: Owner): Promise<void> {
    try {
      const rows = await tokensOf(tokens, owner)
      if (rows.length <= max) return
      await removeRows(tokens, rows.toSorted((a, b) => usedAt(b) - usedAt(a)).slice(max))
    } catch (error) {
      warn?.('refresh tokens that are too many could not be removed', { account: owner.account, error })
    }
  }

  async function afterOthers(key: string, owner: Owner): Promise<void> {
    // Even where none is running: those that were added at the same time share this look.
    await (running.get(key) ?? Promise.resolve())
    waiting.delete(key)
    const mine = trimNow(owner)
    running.set(key, mine)
    await mine
    if (running.get(key) === mine) running.delete(key)
  }

  return {
    async trim(owner) {
      const key = `${owner.source}\n${owner.account}`
      const joined = waiting.get(key) ?? afterOthers(key, owner)
      waiting.set(key, joined)
      await joined
    },

    expectIdle(ms) {
      // A configuration that was read in vain must not shorten the life of what another one in force accepts.
      lifeMs = Math.max(ms, lifeMs ?? 0)
    },

    async removeIdle(before) {
      if (lifeMs === undefined) return 0
      let removed = 0
      for (let i = 0; i < MAX_PAGES; i++) {
        const rows = await tokens.list({ kind: 'refresh' }, { last: cursor, limit: PAGE })
        const idle = rows.filter((row) => usedAt(row) + (lifeMs ?? 0) < before)
        removed += await removeRows(tokens, idle)
        cursor = rows.length < PAGE ? undefined : rows.at(-1)?.id
        if (cursor === undefined) break
        // Questions with a limit are answered on this thread: requests get their turn between two.
        await setImmediate()
      }
      return removed
    },
  }
}

function usedAt({ lastUsedAt, createdAt }: TokenRow): number {
  return lastUsedAt ?? createdAt
}
