import { algorithmOf, type Digest, hexOf, isDigest } from '../oci/digest.ts'
import { StorageError } from './storage.ts'

const STAMP = /^[0-9A-Za-z]{1,32}$/
/** `sha256-<hex>.<stamp>`, or `foreign-<name>.<stamp>`; a number follows where several have the same stamp. */
const NAME = /^(?:(sha256|sha512)-([a-f0-9]+)|foreign-[\w.-]*?)(?:\.([0-9A-Za-z]{1,32})(?:-\d+)?)?$/
const MAX_FOREIGN = 100

/**
 * What something is called in the quarantine, so that an operator knows what it was: nothing has the name yet.
 * @throws StorageError for a stamp that is none.
 */
export function freshName(
  of: { key: string; digest: Digest | undefined; stamp: string },
  isTaken: (name: string) => boolean,
): string {
  const { key, digest, stamp } = of
  if (!STAMP.test(stamp)) throw new StorageError('failed', 'not a stamp')
  const last = key.slice(key.lastIndexOf('/') + 1)
  const what =
    digest === undefined
      ? `foreign-${last.replace(/[^\w.-]/g, '_').slice(0, MAX_FOREIGN)}`
      : `${algorithmOf(digest)}-${hexOf(digest)}`
  const plain = `${what}.${stamp}`
  let name = plain
  for (let number = 2; isTaken(name); number++) name = `${plain}-${number}`
  return name
}

/** Undefined for what is no name of the quarantine. */
export function readName(name: string): { digest: Digest | undefined; stamp: string | undefined } | undefined {
  const match = NAME.exec(name)
  if (match === null) return undefined
  const [, algorithm, hex, stamp] = match
  const digest = `${algorithm}:${hex}`
  return { digest: isDigest(digest) ? digest : undefined, stamp }
}
