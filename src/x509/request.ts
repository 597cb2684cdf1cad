import { createPublicKey, type KeyObject } from 'node:crypto'
import { nameOf } from './certificate.ts'
import { explicit, integer, oid, sequence, set } from './der.ts'
import { alternativeNames } from './extension.ts'
import { signed } from './signature.ts'

/** RFC 5280 appendix A.1: ub-common-name. */
const MAX_COMMON_NAME = 64

/** A certification request (RFC 2986) for host names, as DER; the first is the common name too, where it is short enough. */
export function certificationRequest(privateKey: KeyObject, names: readonly [string, ...string[]]): Buffer {
  const [first] = names
  const subject = first.length <= MAX_COMMON_NAME ? nameOf(first) : sequence()
  // extensionRequest (RFC 2985 section 5.4.2)
  const attribute = sequence(oid('1.2.840.113549.1.9.14'), set(sequence(alternativeNames(names))))
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return signed(privateKey, () => sequence(integer(Uint8Array.of(0)), subject, publicKey, explicit(0, attribute)))
}
