import {
  carriedCertificates,
  compatibilityWarning,
  isValidAt,
  type KeyIdForm,
  type SigningKey,
  sameKey,
} from './keys.ts'
import { createTrust } from './trust.ts'

/** Something about the keys of tokens that an operator should know. */
export interface KeyFinding {
  kind: 'fine' | 'warning' | 'problem'
  message: string
  fix?: string
}

export interface KeyCheck {
  key: SigningKey
  keyId: KeyIdForm
  x5c: 'auto' | 'always' | 'never'
  /** PEM text of the `rootcertbundle` of a registry that is to take the tokens; undefined: none is known. */
  bundle: string | undefined
  /** Milliseconds since the epoch. */
  now: number
}

/**
 * Whether tokens of the key will be taken. A registry looks at `x5c` first and never goes on to `kid` when that fails
 * (distribution, registry/auth/token), so a certificate that it cannot check is worse than none.
 */
export function checkKey(check: KeyCheck): KeyFinding[] {
  const findings = [...checkDates(check), ...checkBundle(check)]
  const warning = compatibilityWarning([check.key])
  if (warning !== undefined) findings.push({ kind: 'warning', message: warning })
  return findings
}

function checkDates({ key, x5c, now }: KeyCheck): KeyFinding[] {
  const expired = carriedCertificates(key).find((certificate) => !isValidAt(certificate, now))
  if (expired === undefined) return []
  const state = Date.parse(expired.validTo) < now ? `expired on ${expired.validTo}` : `begins on ${expired.validFrom}`
  const subject = expired.subject.replaceAll('\n', ', ')
  if (x5c === 'always') {
    const message = `the token certificate (${subject}) ${state}, and every token carries it: registries refuse them`
    return [{ kind: 'problem', message, fix: 'Renew the certificate, or set token.x5c: auto.' }]
  }
  const effect =
    x5c === 'never'
      ? 'registries that find the key by its id do not look at the dates'
      : 'tokens do not carry it now, so only registries that have this very certificate in their rootcertbundle take them'
  const fix = 'Renew the certificate for the same key, and give it to the registries, too.'
  return [{ kind: 'warning', message: `the token certificate (${subject}) ${state}; ${effect}`, fix }]
}

function checkBundle({ key, keyId, x5c, bundle, now }: KeyCheck): KeyFinding[] {
  if (bundle === undefined) return []
  const trust = createTrust({ rootCertBundle: bundle, now: () => now })
  const byId = trust.byId(key.ids[keyId])
  const carried = carriedCertificates(key)
  const isCarried = x5c === 'always' || (x5c === 'auto' && carried.every((one) => isValidAt(one, now)))
  const knowsKey = byId !== undefined && sameKey(byId.key, key.publicKey)
  if (isCarried && !leadsToBundle(trust, carried)) {
    const message = knowsKey
      ? 'the rootcertbundle has an older certificate of the same key: registries check the new one, which tokens carry, and refuse it'
      : 'the rootcertbundle has neither the token certificate nor the authority that signed it: "token signed by untrusted key"'
    const fix = `Put token.certificate into the rootcertbundle and restart the registry${knowsKey ? ', or set token.x5c: never' : ''}.`
    return [{ kind: 'problem', message, fix }]
  }
  if (!isCarried && !knowsKey) {
    const message = `the rootcertbundle does not have the certificate of the key ${key.ids[keyId]}: "token signed by untrusted key with ID"`
    const fix =
      'Put token.certificate into the rootcertbundle and restart the registry. An authority alone is not enough here.'
    return [{ kind: 'problem', message, fix }]
  }
  const how = isCarried ? 'by the certificate that they carry' : `by the key id ${key.ids[keyId]}`
  return [{ kind: 'fine', message: `a registry with this rootcertbundle takes the tokens ${how}` }]
}

function leadsToBundle(trust: ReturnType<typeof createTrust>, carried: readonly { raw: Buffer }[]): boolean {
  try {
    trust.byChain(carried.map(({ raw }) => raw.toString('base64')))
    return true
  } catch {
    return false
  }
}
