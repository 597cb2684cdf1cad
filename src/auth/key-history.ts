import { type SigningKey, sameKey, type VerifyingKey } from './keys.ts'
import { LEEWAY_MS } from './verify.ts'

/** The pair that an operator configured, and those that were configured before it. */
export interface KeyHistory {
  /**
   * Makes this the pair that signs. Another pair (or another certificate of the same key) that did stays trusted until
   * its last token has ended.
   * @param tokenLifeMs milliseconds from signature to end of the tokens that it signs from now on.
   */
  use(key: SigningKey, tokenLifeMs: number): void
  /** The pair in use first, then those whose tokens have not ended. The same array until that changes. */
  all(): readonly VerifyingKey[]
}

/** Kept in memory alone: a start knows nothing of the pair before, and clients ask for another token then. */
export function createKeyHistory({ now }: { now: () => number }): KeyHistory {
  let current: { key: SigningKey; tokensUntil: () => number } | undefined
  let retired: readonly (VerifyingKey & { until: number })[] = []
  let keys: readonly VerifyingKey[] = []

  function list(): void {
    keys = current === undefined ? retired : [current.key, ...retired]
  }

  function forget(): void {
    const time = now()
    if (retired.every(({ until }) => time <= until)) return
    retired = retired.filter(({ until }) => time <= until)
    list()
  }

  return {
    use(key, tokenLifeMs) {
      const before = current
      // Tokens of before a shorter life was configured still have the longer one.
      const earlier = before !== undefined && isSame(before.key, key) ? before.tokensUntil() : 0
      current = { key, tokensUntil: () => Math.max(earlier, now() + tokenLifeMs + LEEWAY_MS) }
      if (before !== undefined && !isSame(before.key, key)) {
        const { algorithm, publicKey, certificates, ids } = before.key
        retired = [{ algorithm, publicKey, certificates, ids, until: before.tokensUntil() }, ...retired]
      }
      // One that comes back is in use again, and no more on its way out.
      retired = retired.filter((one) => !isSame(one, key))
      list()
      forget()
    },
    all() {
      forget()
      return keys
    },
  }
}

function isSame(a: VerifyingKey, b: VerifyingKey): boolean {
  const [leafA] = a.certificates
  const [leafB] = b.certificates
  return sameKey(a.publicKey, b.publicKey) && (leafA === undefined || leafB?.raw.equals(leafA.raw) === true)
}
