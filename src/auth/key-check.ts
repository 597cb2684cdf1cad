import { carriedCertificates, compatibilityWarning, isValidAt, type SigningKey } from './keys.ts'

/** Something about the keys of tokens that an operator should know. */
export interface KeyFinding {
  kind: 'warning' | 'problem'
  message: string
  fix?: string
}

export interface KeyCheck {
  key: SigningKey
  x5c: 'auto' | 'always' | 'never'
  /** Milliseconds since the epoch. */
  now: number
}

/** What a start should warn of. What a registry with a certain bundle makes of the key, `berth doctor` says. */
export function checkKey(check: KeyCheck): KeyFinding[] {
  const findings = checkDates(check)
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
