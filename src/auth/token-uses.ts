import type { TokenRow, Tokens } from '../metadata/metadata.ts'

/** Milliseconds between two writes of one token's last use. */
const MINUTE = 60_000
/** Milliseconds that a use may wait to be written. */
const DELAY = 5_000
/** Uses that may wait. */
const MAX_WAITING = 10_000
const BATCH = 500

export interface Uses {
  /** @param row as it was read now */
  note(row: TokenRow, now: number, from: string | undefined): void
  flush(): Promise<void>
}

/** Last uses of tokens, written in batches: a busy client must not cost a write at each request. */
export function createUses(options: {
  tokens: Pick<Tokens, 'touch'>
  warn?: (message: string, fields: Record<string, unknown>) => void
  later?: (work: () => void) => void
}): Uses {
  const later = options.later ?? ((work) => void setTimeout(work, DELAY).unref())
  let waiting = new Map<string, { at: number; from: string | undefined }>()
  let isPlanned = false

  async function flush(): Promise<void> {
    isPlanned = false
    const uses = [...waiting].map(([id, use]) => ({ id, ...use }))
    waiting = new Map()
    try {
      for (let i = 0; i < uses.length; i += BATCH) await options.tokens.touch(uses.slice(i, i + BATCH))
    } catch (error) {
      options.warn?.('the last uses of tokens could not be written down', { error })
    }
  }

  return {
    note(row, now, from) {
      if (row.lastUsedAt !== undefined && now - row.lastUsedAt < MINUTE) return
      if (waiting.has(row.id) || waiting.size >= MAX_WAITING) return
      waiting.set(row.id, { at: now, from })
      if (isPlanned) return
      isPlanned = true
      later(() => void flush())
    },
    flush,
  }
}
