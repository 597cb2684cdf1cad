import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { SignInKind } from './sign-in.ts'

/** Milliseconds that a person has at the provider. */
export const PENDING_MS = 600_000
/** States that are remembered as used; when there are more, nobody finishes until the oldest have ended. */
const MAX_USED = 10_000

const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

export interface PendingSignIn {
  kind: SignInKind
  state: string
  nonce: string
  codeVerifier: string
  redirectUri: string
}

export interface PendingSignIns {
  /** For the browser to keep: nobody else can read it, change it, or make one. In base64url. */
  seal(signIn: PendingSignIn): string
  /** What was sealed for that provider and state, unless it is too old, in use, or used already. */
  open(key: Pick<PendingSignIn, 'kind' | 'state'> & { sealed: string }): PendingSignIn | undefined
  /** From now on the state opens nothing; false when no more can be remembered, and it must not be gone on with. */
  use(state: string): boolean
  /** The state may be used after all. */
  release(state: string): void
}

/**
 * Sign-ins under way. Their browsers keep them, so that strangers who begin any number push out nobody's; here are only the
 * key, and the states that were used. A restart makes a new key, and people start again.
 */
export function createPendingSignIns(options: { now: () => number; maxUsed?: number }): PendingSignIns {
  const { now, maxUsed = MAX_USED } = options
  const key = randomBytes(32)
  let sealedSoFar = 0n
  // In order of their ends, for each is remembered equally long: until what was sealed with it has ended for sure.
  const used = new Map<string, number>()

  function prune(): void {
    for (const [state, until] of used) {
      if (until > now()) return
      used.delete(state)
    }
  }

  /** Counted, so that no two are equal under one key (NIST SP 800-38D section 8.2.1): strangers can have any number made. */
  function nextIv(): Buffer {
    const iv = Buffer.alloc(IV_BYTES)
    iv.writeBigUInt64BE(sealedSoFar++, IV_BYTES - 8)
    return iv
  }

  function decrypt(sealed: string, boundTo: Buffer): string | undefined {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < IV_BYTES + TAG_BYTES) return undefined
    const options = { authTagLength: TAG_BYTES }
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), options).setAAD(boundTo)
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      // Changed, of another provider or state, or of a key that is gone.
      return undefined
    }
  }

  return {
    seal({ kind, state, nonce, codeVerifier, redirectUri }) {
      const text = JSON.stringify([now() + PENDING_MS, nonce, codeVerifier, redirectUri])
      const iv = nextIv()
      const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(binding(kind, state))
      const encrypted = [cipher.update(text, 'utf8'), cipher.final()]
      return Buffer.concat([iv, ...encrypted, cipher.getAuthTag()]).toString('base64url')
    },
    open({ kind, state, sealed }) {
      const text = decrypt(sealed, binding(kind, state))
      if (text === undefined || used.has(state)) return undefined
      // Nobody else could write it.
      const [until, nonce, codeVerifier, redirectUri] = JSON.parse(text) as [number, string, string, string]
      return until > now() ? { kind, state, nonce, codeVerifier, redirectUri } : undefined
    },
    use(state) {
      prune()
      if (used.size >= maxUsed) return false
      used.set(state, now() + PENDING_MS)
      return true
    },
    release: (state) => void used.delete(state),
  }
}

/** A kind has no line break, so that no two pairs read the same. */
function binding(kind: SignInKind, state: string): Buffer {
  return Buffer.from(`${kind}\n${state}`)
}
