import { createHash, timingSafeEqual } from 'node:crypto'
import type { SignInKind } from './sign-in.ts'

/** Milliseconds that a person has at the provider. */
export const PENDING_MS = 600_000
/** Sign-ins under way at most; the oldest goes. */
const MAX_PENDING = 10_000

export interface PendingSignIn {
  kind: SignInKind
  state: string
  /** The random cookie of the browser that began. */
  browser: string
  nonce: string
  codeVerifier: string
  redirectUri: string
}

export interface PendingSignIns {
  add(signIn: PendingSignIn): void
  /** The sign-in of that state, once, for the browser and the provider that it was begun with. */
  take(key: Pick<PendingSignIn, 'kind' | 'state' | 'browser'>): PendingSignIn | undefined
}

/** Sign-ins under way, in memory: a restart ends them, and people start again. */
export function createPendingSignIns(options: { now: () => number; max?: number }): PendingSignIns {
  const { now, max = MAX_PENDING } = options
  // In order of their ends, for each lives equally long.
  const entries = new Map<string, { signIn: PendingSignIn; until: number }>()

  function prune(): void {
    for (const [state, { until }] of entries) {
      if (until > now() && entries.size < max) return
      entries.delete(state)
    }
  }

  return {
    add(signIn) {
      prune()
      entries.set(signIn.state, { signIn, until: now() + PENDING_MS })
    },
    take({ kind, state, browser }) {
      const entry = entries.get(state)
      if (entry === undefined || entry.signIn.kind !== kind || entry.until <= now()) return undefined
      // Another browser must not end it either.
      if (!equal(entry.signIn.browser, browser)) return undefined
      entries.delete(state)
      return entry.signIn
    },
  }
}

function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
