import { join } from 'node:path'
import { readIfThere } from '../files/durable.ts'
import { loadSigningKey, parseCertificates, type SigningKey, type VerifyingKey, verifyingKey } from './keys.ts'
import { certificatePem, parseOwn, pemOf } from './own-key.ts'
import { isRecord } from './trust.ts'

/** Beside the pair of now (0600): the one that comes, and the certificates of those that were. The first rotation makes it. */
export const RING_FILE = 'berth-token-ring.json'

/** What a ring knows besides its current pair. */
export interface RingState {
  next: { key: SigningKey /** Milliseconds since the epoch. */; from: number } | undefined
  previous: readonly RetiredKey[]
}

/** A key whose last tokens have not ended. */
export type RetiredKey = VerifyingKey & { until: number }

/** @throws Error when the file is damaged; it is never replaced then. */
export async function readRing(directory: string): Promise<{ text: string | undefined; state: RingState }> {
  const path = join(directory, RING_FILE)
  const text = await readIfThere(path)
  if (text === undefined) return { text, state: { next: undefined, previous: [] } }
  return { text, state: parseOwn(path, () => parseState(text)) }
}

export function formatRing({ next, previous }: RingState): string {
  const state = {
    version: 1,
    ...(next === undefined
      ? {}
      : { next: { from: next.from, key: pemOf(next.key.privateKey), certificate: pemOfLeaf(next.key) } }),
    previous: previous.map((key) => ({ until: key.until, certificate: pemOfLeaf(key) })),
  }
  return `${JSON.stringify(state, undefined, 2)}\n`
}

/** The certificate of a key of Berth's own, which has one alone. */
export function pemOfLeaf({ certificates }: VerifyingKey): string {
  return certificates.map(certificatePem).join('')
}

function parseState(text: string): RingState {
  const state: unknown = JSON.parse(text)
  if (!isRecord(state) || state.version !== 1 || !Array.isArray(state.previous)) {
    throw new Error('it is not a list of keys that this version wrote')
  }
  return {
    next: state.next === undefined ? undefined : parseNext(state.next),
    previous: state.previous.map((item: unknown) => {
      const [certificate] = parseCertificates(textOf(item, 'certificate'))
      if (certificate === undefined) throw new Error('a certificate is missing')
      return { ...verifyingKey([certificate], certificate.publicKey), until: timeOf(item, 'until') }
    }),
  }
}

function parseNext(next: unknown): RingState['next'] {
  return { key: loadSigningKey(textOf(next, 'certificate'), textOf(next, 'key')), from: timeOf(next, 'from') }
}

function textOf(value: unknown, name: string): string {
  const text = isRecord(value) ? value[name] : undefined
  if (typeof text !== 'string') throw new Error(`"${name}" is missing`)
  return text
}

function timeOf(value: unknown, name: string): number {
  const time = isRecord(value) ? value[name] : undefined
  if (typeof time !== 'number') throw new Error(`"${name}" is missing`)
  return time
}
