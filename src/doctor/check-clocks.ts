import type { ClientFacts } from './client-facts.ts'
import { type Finding, fault, warning } from './finding.ts'

/** Milliseconds that registries tolerate (distribution, registry/auth/token: Leeway). */
const LEEWAY = 60_000
const FIX = 'timedatectl set-ntp true'

/** The clocks of client, registry and token server. Answers tell the second, and take a while: what is below the leeway is no difference. */
export function checkClocks({ entry, realm, grants, registry }: ClientFacts): Finding[] {
  const token = grants
    .flatMap(({ outcome }) => (outcome.kind === 'token' && outcome.token !== undefined ? [outcome.token] : []))
    .at(0)
  const verdict = grants[0]?.verdict
  const there = verdict?.date ?? entry?.date
  const about = realm?.realm ?? registry
  const asked = realm?.answer !== undefined && 'status' in realm.answer ? realm.answer : undefined
  const skew = entry?.date === undefined ? undefined : entry.date - entry.at
  if (token !== undefined && there !== undefined) {
    const begins = (token.notBefore ?? 0) * 1000
    const ends = (token.expires ?? 0) * 1000
    if (begins > there + LEEWAY) {
      const message = `the clock of the token server is ${spanText(begins - there)} or more ahead of the registry's, so its tokens are not valid yet there: \`token not to be used before ${token.notBefore}\``
      return [fault('clock-skew', about, message, `on the machine of the token server and of the registry: ${FIX}`)]
    }
    if (ends < there - LEEWAY) {
      const message = `tokens are over before the registry sees them, by ${spanText(there - ends)}: the clock of the token server is behind the registry's, or the lives of tokens are too short: \`token not to be used after ${token.expires}\``
      return [fault('clock-skew', about, message, `on the machine of the token server and of the registry: ${FIX}`)]
    }
  }
  const theirs =
    asked?.date === undefined || entry?.date === undefined ? 0 : asked.date - asked.at - (entry.date - entry.at)
  if (Math.abs(theirs) > LEEWAY) {
    const message = `the clock of the token server is ${spanText(Math.abs(theirs))} ${theirs > 0 ? 'ahead of' : 'behind'} the registry's; more than 60 s may make tokens invalid`
    return [warning('clock-skew', about, message, `on both machines: ${FIX}`)]
  }
  if (skew !== undefined && Math.abs(skew) > LEEWAY) {
    const message = `the clock of this machine is ${spanText(Math.abs(skew))} ${skew > 0 ? 'behind' : 'ahead of'} the registry's: certificates and tokens may seem to begin later, or to be over`
    return [warning('clock-skew', registry, message, `on this machine and on the registry's: ${FIX}`)]
  }
  return []
}

function spanText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
