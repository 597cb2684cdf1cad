import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, temporaryOf, writeDurably } from '../files/durable.ts'
import { type SigningAlgorithm, type SigningKey, sameKey, type VerifyingKey } from './keys.ts'
import { makeOwnKey, newSigningKey, OWN_CERTIFICATE_FILE, OWN_KEY_FILE, pemOf } from './own-key.ts'
import { formatRing, pemOfLeaf, RING_FILE, type RingState, readRing } from './ring-file.ts'

export interface KeyRingOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds after its last signature for which a key stays trusted: the longest life of a token, and the leeway. */
  overlapMs: number
  /** Milliseconds that a rotation waits at most. */
  longestWaitMs: number
  /** Replaces a file, synced; a test lets it fail. */
  write?: typeof writeDurably
}

export interface Rotation {
  algorithm: SigningAlgorithm
  /** Milliseconds for which the new key is published before it signs; 0: it signs at once. */
  waitMs: number
}

/** The pairs that Berth made for itself, and their successions. */
export interface KeyRing {
  /** The pair that signs now. */
  current(): SigningKey
  /** Every key that may have signed a token, or will: current, next, previous. The same array until that changes. */
  all(): readonly VerifyingKey[]
  /** The pair that will sign from that time on (milliseconds since the epoch). */
  next(): { key: SigningKey; from: number } | undefined
  /**
   * Makes a pair that will sign once it has been published for long enough; one that waits already gives way. The old
   * pair's private key is deleted then, and the certificate stays trusted until the last token has ended.
   * Resolves to the new key, durably, and when it begins to sign.
   * @throws Error when it cannot be written: the old pair goes on signing, and a later `refresh` may complete what was begun.
   */
  rotate(rotation: Rotation): Promise<{ key: VerifyingKey; from: number }>
  /** Ends the trust in all previous keys, durably: what they signed counts no more. @throws Error when it cannot be written. */
  distrust(): Promise<void>
  /**
   * To be called at the start and every now and then: promotes the next key when its time has come, drops previous ones
   * whose tokens have all ended, and writes out what an earlier call could not.
   * @throws Error when it cannot be written; the ring stays usable, and a later call tries again.
   */
  refresh(): Promise<void>
  /** PEM of all certificates, the current one first, for the `rootcertbundle` of other registries. */
  bundle(): string
}

/**
 * The ring of keys in a directory: `berth-token.key`, the private key that signs; `berth-token.crt`, the bundle; and
 * after the first rotation `berth-token-ring.json`. Each step is one file, synced: the next pair is stored (1), is in the
 * bundle (2), the current one is stored as a previous one too (3), the next private key takes the current one's place
 * (4), and the rest follows from that (5). A crash between any two leaves a ring that goes on from there.
 *
 * It reads, and writes only the first pair. The caller owns the directory.
 * @throws Error when a file is damaged (it is never replaced), or the first pair cannot be written.
 */
export async function openKeyRing(directory: string, options: KeyRingOptions): Promise<KeyRing> {
  const { now, overlapMs, longestWaitMs, write = writeDurably } = options
  await mkdir(directory, { recursive: true })
  // What a crash left in the middle of a write may be the copy of a private key.
  const files = [OWN_KEY_FILE, OWN_CERTIFICATE_FILE, RING_FILE]
  await Promise.all(files.map((name) => rm(join(directory, temporaryOf(name)), { force: true }).catch(() => undefined)))
  let current = await makeOwnKey(directory, { now })
  const read = await readRing(directory)
  let state = settle(read.state, current)
  /** What the files hold; undefined: it is not known, or (for the ring's, when not in doubt) there is none. */
  let ringText = read.text
  let ringInDoubt = false
  let bundleText = await readIfThere(join(directory, OWN_CERTIFICATE_FILE))
  let keys = listOf(current, state)
  let last: Promise<unknown> = Promise.resolve()

  /** One change after the other, whether or not those before succeeded. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = last.then(change, change)
    last = turn.catch(() => undefined)
    return turn
  }

  const bundle = () => keys.map(pemOfLeaf).join('')

  async function saveRing(wanted: RingState): Promise<void> {
    const text = formatRing(wanted)
    if (!ringInDoubt && (text === ringText || (ringText === undefined && isEmpty(wanted)))) return
    ringInDoubt = true
    await write(directory, RING_FILE, text, 0o600)
    ringText = text
    ringInDoubt = false
  }

  async function saveBundle(): Promise<void> {
    const text = bundle()
    if (text === bundleText) return
    bundleText = undefined
    await write(directory, OWN_CERTIFICATE_FILE, text, 0o644)
    bundleText = text
  }

  function change(to: RingState): void {
    state = to
    keys = listOf(current, state)
  }

  async function promote(next: SigningKey): Promise<void> {
    const retired = { ...retiredOf(current), until: now() + overlapMs }
    const previous = [retired, ...state.previous]
    await saveRing({ next: state.next, previous })
    await write(directory, OWN_KEY_FILE, pemOf(next.privateKey), 0o600)
    current = next
    change({ next: undefined, previous })
  }

  /** What a clock that went ahead has put off for years is due when it would be, had it begun now. */
  function bound(time: number): void {
    const { next, previous } = state
    const latest = { from: time + longestWaitMs, until: time + overlapMs }
    const isLate = next !== undefined && next.from > latest.from
    if (!isLate && previous.every(({ until }) => until <= latest.until)) return
    change({
      next: next === undefined ? undefined : { ...next, from: Math.min(next.from, latest.from) },
      previous: previous.map((key) => ({ ...key, until: Math.min(key.until, latest.until) })),
    })
  }

  async function catchUp(): Promise<void> {
    const time = now()
    const previous = state.previous.filter(({ until }) => until >= time)
    if (previous.length < state.previous.length) change({ ...state, previous })
    bound(time)
    // The bundle has the next key's certificate before its private key stands alone.
    await saveBundle()
    const { next } = state
    if (next !== undefined && next.from <= time) await promote(next.key)
    await saveRing(state)
    await saveBundle()
  }

  return {
    current: () => current,
    all: () => keys,
    next: () => state.next,
    bundle,
    refresh: () => inTurn(catchUp),
    distrust: () =>
      inTurn(async () => {
        change({ ...state, previous: [] })
        await saveRing(state)
        await saveBundle()
      }),
    rotate: ({ algorithm, waitMs }) =>
      inTurn(async () => {
        const key = await newSigningKey(algorithm, now())
        const next = { key, from: now() + waitMs }
        await saveRing({ ...state, next })
        change({ ...state, next })
        await catchUp()
        return { key: retiredOf(key), from: next.from }
      }),
  }
}

/** What the steps of a promotion that a crash cut off had in mind. */
function settle({ next, previous }: RingState, current: SigningKey): RingState {
  return {
    next: next !== undefined && sameKey(next.key.publicKey, current.publicKey) ? undefined : next,
    previous: previous.filter(({ publicKey }) => !sameKey(publicKey, current.publicKey)),
  }
}

function listOf(current: SigningKey, { next, previous }: RingState): readonly VerifyingKey[] {
  return [current, ...(next === undefined ? [] : [next.key]), ...previous]
}

function isEmpty({ next, previous }: RingState): boolean {
  return next === undefined && previous.length === 0
}

/** Without the private key, which must not outlive its service in memory either. */
function retiredOf({ algorithm, publicKey, certificates, ids }: SigningKey): VerifyingKey {
  return { algorithm, publicKey, certificates, ids }
}
