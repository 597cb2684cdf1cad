import { readGiven } from './app-files.ts'
import { checkKey } from './auth/key-check.ts'
import { createKeyHistory } from './auth/key-history.ts'
import { type KeyRing, openKeyRing } from './auth/key-ring.ts'
import { loadSigningKey, type SigningKey, type VerifyingKey } from './auth/keys.ts'
import { LEEWAY_MS } from './auth/verify.ts'
import type { TokenServerConfig } from './config/config.ts'
import type { KeyInfo, KeyRotation } from './http/api/api.ts'
import type { Log } from './telemetry/log.ts'

const DAY = 86_400_000
/** For which a new key is published before it signs, so that other registries can learn of it. */
const PUBLISH_MS = DAY
/** A retired key is trusted for as long as a token of before may live, whatever the configuration said then. */
const LONGEST_TOKEN_MS = DAY

/** The keys that sign, over reloads of the configuration. */
export interface Keys {
  /**
   * Reads the configured pair, or Berth's own, and resolves to what puts it in force.
   * @throws Error with a text for the user; the pair before stays.
   */
  prepare(
    config: Pick<TokenServerConfig, 'certificate' | 'key' | 'expiration' | 'keyId' | 'x5c'>,
  ): Promise<() => Promise<void>>
  current(): SigningKey
  all(): readonly VerifyingKey[]
  /** None where no token server runs. */
  list(): KeyInfo[]
  /** Undefined where the pair is a configured one. */
  rotate(): ((rotation: KeyRotation) => Promise<KeyInfo>) | undefined
  /** To be called every now and then. @throws Error when the ring cannot be written; the next call tries again. */
  tend(): Promise<void>
}

export function createKeys(deps: { directory: string; log: Log; now: () => number }): Keys {
  const { directory, log, now } = deps
  const history = createKeyHistory({ now })
  let configured: SigningKey | undefined
  let ring: KeyRing | undefined

  function inUse(): KeyRing {
    if (ring === undefined) throw new Error('no key was made yet')
    return ring
  }

  function list(): KeyInfo[] {
    if (configured !== undefined) {
      return history.all().map((key, index) => infoOf(key, index === 0 ? 'signing' : 'previous'))
    }
    if (ring === undefined) return []
    const next = ring.next()
    const signing = ring.current()
    return ring.all().map((key) => {
      if (key === signing) return infoOf(key, 'signing')
      return key === next?.key ? { ...infoOf(key, 'next'), signsFrom: next.from } : infoOf(key, 'previous')
    })
  }

  return {
    async prepare({ certificate, key, expiration, x5c }) {
      const certificateText = readGiven('token.certificate', certificate)
      const keyText = readGiven('token.key', key)
      const isOwn = certificateText === undefined || keyText === undefined
      if (isOwn) {
        const overlapMs = Math.max(expiration * 1000, LONGEST_TOKEN_MS) + LEEWAY_MS
        ring ??= await openKeyRing(directory, { now, overlapMs, longestWaitMs: PUBLISH_MS })
      }
      const next = isOwn ? undefined : loadSigningKey(certificateText, keyText)
      return async () => {
        configured = next
        if (next === undefined) await inUse().refresh()
        else history.use(next, expiration * 1000)
        const signing = next ?? inUse().current()
        for (const { message, fix } of checkKey({ key: signing, x5c, now: now() })) {
          log.warn(fix === undefined ? message : `${message}. ${fix}`)
        }
      }
    },
    current: () => configured ?? inUse().current(),
    all: () => (configured === undefined ? inUse().all() : history.all()),
    list,
    rotate() {
      if (configured !== undefined || ring === undefined) return undefined
      return async ({ algorithm, immediately }) => {
        const { key } = await inUse().rotate({
          algorithm: algorithm ?? inUse().current().algorithm,
          waitMs: immediately ? 0 : PUBLISH_MS,
        })
        // Whoever has the old key could sign for as long as it is trusted.
        if (immediately) await inUse().distrust()
        const made = list().find(({ id }) => id === key.ids.rfc7638)
        return made ?? infoOf(key, 'next')
      }
    },
    async tend() {
      if (configured === undefined) await ring?.refresh()
    },
  }
}

function infoOf(key: VerifyingKey, state: KeyInfo['state']): KeyInfo {
  return { id: key.ids.rfc7638, algorithm: key.algorithm, state, signsFrom: undefined, endsAt: key.until }
}
